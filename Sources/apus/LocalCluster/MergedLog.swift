internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import Synchronization

/// What several processes say, line by line on standard output, each line with its process's name before it.
final class MergedLog: Sendable {
    private let terminal: Terminal
    private let width: Int
    private let names: [String]
    private let readerLeft: @Sendable () -> Void
    private let output = Mutex<Void>(())
    private let pipes = Mutex<[(writer: Int32, isRead: StopRequest)]>([])
    /// A line that does not end is cut here.
    private static let longestLine = 1 << 16

    /// `readerLeft` is called for each line that nobody reads any more (`apus up | head`).
    init(names: [String], terminal: Terminal, readerLeft: @escaping @Sendable () -> Void) {
        self.names = names
        self.readerLeft = readerLeft
        self.terminal = terminal
        width = names.map(\.count).max() ?? 0
    }

    /// A descriptor whose lines come out under `name`: for a child, and for those that follow it. Throws `process.failed`.
    func descriptor(for name: String) throws(ApusError) -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ApusError(.processFailed, "no pipe can be made: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let (reader, writer) = (ends[0], ends[1])
        let isRead = StopRequest()
        pipes.withLock { $0.append((writer, isRead)) }
        Thread.start(name: "apus-log-\(name)") { [self] in
            read(reader, as: name)
            close(reader)
            isRead.request()
        }
        return writer
    }

    func print(_ line: String, as name: String) {
        let colour = (names.firstIndex(of: name) ?? 0) % Self.colours.count
        let title = name + String(repeating: " ", count: max(0, width - name.count)) + " |"
        let styled = terminal.colours ? "\u{1B}[\(Self.colours[colour])m\(title)\u{1B}[0m" : title
        let isWritten = output.withLock { _ in Terminal.isWritten("\(styled) \(line)\n", to: STDOUT_FILENO) }
        if !isWritten { readerLeft() }
    }

    /// Waits until what the processes have said is printed, for a second at most: a process that lives on may hold a pipe.
    func finish() async {
        let pipes = pipes.withLock { pipes in
            defer { pipes = [] }
            return pipes
        }
        for pipe in pipes { close(pipe.writer) }
        let limit = BootClock.now.advanced(by: .seconds(1))
        for pipe in pipes { try? await withDeadline(limit, "the last lines") { await pipe.isRead.wait() } }  // then the rest is not told
    }

    private static let colours = ["36", "33", "32", "35", "34", "31"]

    /// On a thread of its own: whoever reads our output may have stopped.
    private func read(_ descriptor: Int32, as name: String) {
        var pending: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 || count < 0 && errno == EINTR {
            pending += buffer[..<max(0, count)]
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) ?? (pending.count >= Self.longestLine ? pending.count : nil) {
                print(String(decoding: pending[..<end], as: UTF8.self), as: name)
                pending.removeFirst(min(end + 1, pending.count))
            }
        }
        if !pending.isEmpty { print(String(decoding: pending, as: UTF8.self), as: name) }
    }
}
