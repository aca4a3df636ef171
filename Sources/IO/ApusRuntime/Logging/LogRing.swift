public import ApusTypes
internal import Synchronization

/// The latest lines of the process's log, for operators who ask this node or another one for them (`apus logs`).
///
/// At most `lines` of them and `bytes` of text; older ones go. Adding one costs a lock and no text is made.
public final class LogRing: Sendable {
    private let lines: Int
    private let bytes: Int
    private let state = Mutex(State())
    /// Another one after each start, so that nobody goes on from a number of an earlier process.
    private let process: Int64

    private struct State {
        var kept: [LogEntry] = []
        var first = 0
        var bytes = 0
        var next: Int64 = 1
    }

    public init(lines: Int = 20_000, bytes: ByteCount = .mebibytes(4)) {
        self.lines = lines
        self.bytes = bytes.bytes
        process = Int64.random(in: 1...Int64.max)
    }

    func add(_ line: LogLine, at nanosecondsSinceEpoch: Int64) {
        state.withLock { state in
            let entry = LogEntry(number: state.next, nanosecondsSinceEpoch: nanosecondsSinceEpoch, line: line)
            state.next += 1
            state.kept.append(entry)
            state.bytes += entry.size
            while state.kept.count - state.first > lines || state.bytes > bytes, state.first < state.kept.count {
                state.bytes -= state.kept[state.first].size
                state.first += 1
            }
            if state.first > state.kept.count / 2 {
                state.kept.removeFirst(state.first)
                state.first = 0
            }
        }
    }

    /// What the question asks for, oldest first.
    public func read(_ question: LogQuestion) -> LogPage {
        let (kept, next) = state.withLock { (Array($0.kept[$0.first...]), $0.next) }
        let after = question.process == process ? question.after : 0
        var found = kept.filter { entry in
            entry.number > after && entry.nanosecondsSinceEpoch >= question.since
                && (question.word.isEmpty || entry.mentions(question.word))
        }
        found = Array(found.suffix(max(0, min(question.most, 10_000)))).map(\.withoutSecrets)
        // Lines that are gone were wanted by whoever goes on from an older one.
        let missed = question.process == process ? max(0, (kept.first?.number ?? next) - after - 1) : 0
        return LogPage(process: process, last: next - 1, missed: missed, entries: found)
    }
}

/// One line of the log, as it is kept and told to other nodes.
public struct LogEntry: Sendable, Hashable, WireValue {
    /// Rises by one with each line of a process.
    public var number: Int64
    public var nanosecondsSinceEpoch: Int64
    public var level: String
    public var area: String
    public var message: String
    public var metadata: [String: String]

    init(number: Int64, nanosecondsSinceEpoch: Int64, line: LogLine) {
        self.number = number
        self.nanosecondsSinceEpoch = nanosecondsSinceEpoch
        level = "\(line.level)"
        area = line.area
        message = line.message
        metadata = line.metadata
    }

    /// `warning catalog: the catalog did not answer host=127.0.0.1`
    public var text: String {
        LogLine(level: LogLevel(level) ?? .info, area: area, message: message, metadata: metadata).words
    }

    /// `2026-11-22T14:47:09.123456789Z`
    public var time: String {
        let milliseconds = WallTime(millisecondsSinceEpoch: nanosecondsSinceEpoch / 1_000_000).description.dropLast()
        let rest = String(nanosecondsSinceEpoch % 1_000_000)
        return milliseconds + String(repeating: "0", count: 6 - rest.count) + rest + "Z"
    }

    var size: Int { metadata.reduce(area.utf8.count + message.utf8.count + 64) { $0 + $1.key.utf8.count + $1.value.utf8.count + 32 } }

    /// One of its values is or has the word: the id of a request, a node, a collection.
    func mentions(_ word: String) -> Bool { message.contains(word) || metadata.values.contains { $0.contains(word) } }

    /// No secret is ever logged on purpose. What another program's message brought along is taken out before a line leaves the machine.
    var withoutSecrets: LogEntry {
        var copy = self
        copy.metadata = metadata.mapValues { Secrets.removed(from: $0) }
        return copy
    }

    public func write(to writer: inout WireWriter) { writer.write(number, nanosecondsSinceEpoch, level, area, message, metadata) }

    public init(from reader: inout WireReader) throws(ApusError) {
        number = try reader.read()
        nanosecondsSinceEpoch = try reader.read()
        level = try reader.read()
        area = try reader.read()
        message = try reader.read()
        metadata = try reader.read()
    }
}

/// Which lines somebody wants.
public struct LogQuestion: Sendable, Hashable, WireValue {
    /// The latest so many.
    public var most: Int
    /// Not older; nanoseconds since 1970.
    public var since: Int64
    /// Only those with this in them.
    public var word: String
    /// Only those after the number `after` of this process; 0: whatever there is.
    public var process: Int64
    public var after: Int64

    public init(most: Int, since: Int64 = 0, word: String = "", process: Int64 = 0, after: Int64 = 0) {
        self.most = most
        self.since = since
        self.word = word
        self.process = process
        self.after = after
    }

    public func write(to writer: inout WireWriter) { writer.write(most, since, word, process, after) }

    public init(from reader: inout WireReader) throws(ApusError) {
        most = try reader.read()
        since = try reader.read()
        word = try reader.read()
        process = try reader.read()
        after = try reader.read()
    }
}

/// A node's answer.
public struct LogPage: Sendable, Hashable, WireValue {
    /// With `last` the place to go on from.
    public var process: Int64
    public var last: Int64
    /// Lines after the asked place that were not kept.
    public var missed: Int64
    public var entries: [LogEntry]

    init(process: Int64, last: Int64, missed: Int64, entries: [LogEntry]) {
        self.process = process
        self.last = last
        self.missed = missed
        self.entries = entries
    }

    public func write(to writer: inout WireWriter) { writer.write(process, last, missed, entries) }

    public init(from reader: inout WireReader) throws(ApusError) {
        process = try reader.read()
        last = try reader.read()
        missed = try reader.read()
        entries = try reader.read()
    }
}
