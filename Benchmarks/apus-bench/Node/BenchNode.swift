import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import TestKit

/// A real node with all points of a data set in the collection `bench`.
struct BenchNode {
    let node: NodeProcess
    let data: BenchData
    private let loops: EventLoops

    /// Seconds from the start of an import to three moments.
    struct Import {
        /// All is acknowledged, and found by searches.
        var acknowledged: Double
        /// All but what is too little for a segment is in a graph.
        var indexed: Double
    }

    static func start(_ data: BenchData, in directory: String, loops: EventLoops) async throws -> BenchNode {
        BenchNode(node: try await NodeProcess.start(directory: directory, loops: loops), data: data, loops: loops)
    }

    /// With all points, in one segment.
    static func filled(_ data: BenchData, in directory: String, loops: EventLoops) async throws -> BenchNode {
        let bench = try await start(data, in: directory, loops: loops)
        let times = try await bench.fill()
        progress(
            "imported in \(BenchReport.short(times.acknowledged)) s, indexed after \(BenchReport.short(times.indexed)) s; waiting for one segment"
        )
        try await bench.settle()
        return bench
    }

    /// The same data in a new process, and the seconds from its start to its first answer.
    func restarted() async throws -> (BenchNode, seconds: Double) {
        _ = await node.terminate()
        let start = BootClock.now
        let bench = try await Self.start(data, in: node.directory, loops: loops)
        _ = try await bench.search(0)
        return (bench, start.duration(to: BootClock.now).seconds)
    }

    /// `apus import`, in batches of 1,000.
    func fill() async throws -> Import {
        let log = node.directory + "-import.log"
        let command = ChildProcess.Command(
            try NodeProcess.program(),
            [
                "import", "bench", data.files.points, "--payload", data.files.payloads, "--create", "--url", node.url, "--state",
                node.directory,
            ],
            environment: ["PATH": "/usr/bin:/bin", "HOME": node.directory], output: .file(log))
        let start = BootClock.now
        let exit = await (try ChildProcess.start(command, on: loops.first)).wait()
        guard exit == .status(0) else { throw ApusError(.processFailed, "the import failed: \(readText(log).suffix(2000))") }
        let acknowledged = start.duration(to: BootClock.now).seconds
        try await wait("sealed") { $0.filter { !$0.isMerge }.reduce(0) { $0 + $1.points } > data.points.count - Self.leastSealed }
        return Import(acknowledged: acknowledged, indexed: start.duration(to: BootClock.now).seconds)
    }

    /// Waits until nothing is left to be sealed or merged: all living points but a few are in one segment.
    func settle(points: Int? = nil) async throws {
        let wanted = (points ?? data.points.count) - Self.leastSealed
        try await wait("merged") { events in events.last.map { $0.segments == 1 && $0.points > wanted } ?? false }
    }

    /// Fewer are left in memory.
    private static let leastSealed = 1000

    // MARK: Seals and merges, from the node's log

    struct Event {
        var isMerge: Bool
        /// In the new segment.
        var points: Int
        /// Of the shard, afterwards.
        var segments: Int
        var milliseconds: Int
    }

    func events() -> [Event] {
        let text = (try? String(contentsOfFile: node.directory + ".log", encoding: .utf8)) ?? ""  // none before the first line
        return text.split(separator: "\n").compactMap { line in
            guard line.contains("sealed a shard") || line.contains("merged segments"), let entry = try? JSONValue(parsing: Array(line.utf8))
            else { return nil }  // another line, or one that is being written
            func number(_ key: String) -> Int { entry[key]?.asString.flatMap { Int($0) } ?? 0 }
            return Event(
                isMerge: entry["message"]?.asString == "merged segments", points: number("points"), segments: number("segments"),
                milliseconds: number("milliseconds"))
        }
    }

    private func wait(_ what: String, until isDone: ([Event]) -> Bool) async throws {
        let deadline = BootClock.now.advanced(by: .seconds(400))
        while BootClock.now < deadline {
            if isDone(events()) { return }
            guard node.ended == nil else { throw ApusError(.processFailed, "the node ended: \(node.log)") }
            try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(20)))
        }
        throw ApusError(.deadlineExceeded, "not all was \(what) within 400 s: \(node.log)")
    }

    // MARK: Searches

    /// Numbers with as many digits as a client of single precision sends.
    func body(_ query: Int) -> String {
        "{\"vector\": \(data.queries[query]), \"limit\": \(VectorsBench.limit), \"with_payload\": false}"
    }

    func search(_ query: Int) async throws -> [Int] {
        let reply = try await node.send(.post, "/collections/bench/search", body(query))
        guard reply.status == 200 else { throw ApusError(.processFailed, "a search was answered with \(reply.status): \(reply.body)") }
        return (reply.body["results"]?.asArray ?? []).compactMap { $0["id"].flatMap { Int("\($0)".filter(\.isNumber)) } }
    }

    func recall(of queries: some Collection<Int>) async throws -> Double {
        let numbers = Array(queries)
        var rows: [[Int]] = []
        for query in numbers { rows.append(try await search(query)) }
        return data.set.recall(of: rows, numbers)
    }

    func load(in directory: String) throws -> SearchLoad {
        try SearchLoad(data.queries.indices.map(body), to: "/collections/bench/search", of: node, in: directory, on: loops.first)
    }

    // MARK: Memory

    /// `RssAnon`, `RssFile` of the process, in bytes.
    func memory(_ name: String) -> Int {
        let line = readText("/proc/\(node.identifier)/status").split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
        return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }

    /// On disk.
    var storeBytes: Int {
        let root = node.directory + "/store"
        let files = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return files.reduce(0) { sum, file in
            let size = (try? FileManager.default.attributesOfItem(atPath: root + "/" + file))?[.size] as? Int  // gone meanwhile
            return sum + (size ?? 0)
        }
    }
}
