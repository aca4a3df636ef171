import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import Synchronization

/// Upserts over REST: as many a second as is asked for, or as many as go.
final class UpsertLoad: Sendable {
    struct Result {
        var perSecond: Double
        /// Milliseconds from when a request was due to its acknowledgement.
        var median: Double
        var p99: Double
    }

    private let bench: BenchNode
    /// JSON of some vectors.
    private let vectors: [String]
    private let written = Mutex(0)

    init(_ bench: BenchNode) {
        self.bench = bench
        vectors = (0..<min(4000, bench.data.points.count)).map { "\(bench.data.points[$0])" }
    }

    /// Points that were not there before.
    var added: Int { (written.withLock { $0 } + 1) / 2 }

    /// By so many writers at once, each of which waits for its reply; `perSecond` nil is as fast as that goes. Ends when `isOver`.
    func run(perSecond: Double?, batch: Int, writers: Int, until isOver: @escaping @Sendable () -> Bool) async throws -> Result {
        let start = BootClock.now
        let times = try await withThrowingTaskGroup(of: [Double].self) { group in
            for writer in 0..<writers {
                group.addTask {
                    var times: [Double] = []
                    while !isOver() {
                        // Due by the clock, so that what waits behind a slow request counts as slow too.
                        var due = BootClock.now
                        if let perSecond {
                            let number = Double(times.count * writers + writer)
                            due = start.advanced(by: .microseconds(Int(number * Double(batch) / perSecond * 1e6)))
                            try await BootClock().sleep(until: due)
                        }
                        try await self.send(batch)
                        times.append(due.duration(to: BootClock.now).seconds)
                    }
                    return times
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        let seconds = start.duration(to: BootClock.now).seconds
        let sorted = times.sorted()
        guard !sorted.isEmpty else { throw ApusError(.deadlineExceeded, "no upsert was sent") }
        return Result(
            perSecond: Double(sorted.count * batch) / seconds, median: sorted[sorted.count / 2] * 1000,
            p99: sorted[sorted.count * 99 / 100] * 1000)
    }

    /// Half of the points take the place of one that is there.
    private func send(_ count: Int) async throws {
        let first = written.withLock { written in
            defer { written += count }
            return written
        }
        let points = (first..<first + count).map { number in
            let id = number % 2 == 0 ? 10_000_000 + number : number * 7919 % bench.data.points.count
            return "{\"id\": \"\(id)\", \"vector\": \(vectors[number % vectors.count]), \"payload\": {\"number\": \(number)}}"
        }
        let body = "{\"collection\": \"bench\", \"vectors\": [\(points.joined(separator: ","))]}"
        let reply = try await bench.node.send(.post, "/insert_vectors", body)
        guard reply.status == 200, reply.body["failed"]?.asInteger == 0 else {
            throw ApusError(.processFailed, "an upsert was answered with \(reply.status): \("\(reply.body)".prefix(500))")
        }
    }
}
