import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import Synchronization
import TestKit

/// Requests at a fixed rate, whatever becomes of those before: a server that stands still cannot make the load stand still, and the time of a
/// request counts from when it was due.
///
/// Orders are asked for by their keys; each answer is compared with what the order holds. One order is written each second, and an answer that
/// is older than a write that was acknowledged before it was asked for is a wrong one.
final class PacedLoad: Sendable {
    struct Sample: Sendable {
        var due: Instant
        var milliseconds: Double
        var outcome: Outcome
    }

    enum Outcome: Sendable { case right, wrong, failed }

    private static let clients = 32
    private static let perSecond = 1_000
    /// So many that they come again within the second between two writes, which make all that is kept out of date.
    private static let orders = 400
    private static let written = 100_000

    private let node: NodeProcess
    private let samples = Mutex<[Sample]>([])
    private let acknowledged = Atomic(0)

    init(_ node: NodeProcess) { self.node = node }

    /// Those that were due between two moments.
    func samples(from start: Instant, to end: Instant) -> [Sample] {
        samples.withLock { $0.filter { $0.due >= start && $0.due < end } }
    }

    /// Asks until it is cancelled.
    func run() async {
        let start = BootClock.now
        await withTaskGroup(of: Void.self) { group in
            for client in 0..<Self.clients { group.addTask { await self.ask(client, from: start) } }
            group.addTask { await self.write() }
        }
    }

    private func ask(_ client: Int, from start: Instant) async {
        var random = SeededGenerator(seed: UInt64(client))
        var number = client
        while !Task.isCancelled {
            let due = start.advanced(by: .microseconds(Int64(number) * 1_000_000 / Int64(Self.perSecond)))
            number += Self.clients
            do { try await BootClock().sleep(until: due, tolerance: .zero) } catch { return }
            let id = number % 20 == 0 ? Self.written : Int.random(in: 1...Self.orders, using: &random)
            let outcome = await one(id)
            if Task.isCancelled { return }
            let sample = Sample(due: due, milliseconds: due.duration(to: BootClock.now).seconds * 1000, outcome: outcome)
            samples.withLock { $0.append(sample) }
        }
    }

    private func one(_ id: Int) async -> Outcome {
        let least = acknowledged.load(ordering: .sequentiallyConsistent)
        let body =
            #"{"query": "query($id: Int!) { orders_by_pk(id: $id) @cache(ttl: \"1h\") { id customer_id note } }", "variables": {"id": \#(id)}}"#
        guard let reply = try? await node.send(.post, "/query", body), reply.status == 200, reply.body["errors"] == nil else {
            return .failed
        }
        let order = reply.body["data"]?["orders_by_pk"]
        guard order?["id"]?.asInteger == Int64(id), order?["customer_id"]?.asInteger == Int64(id % 10_000 + 1) else { return .wrong }
        guard id == Self.written else { return .right }
        return (order?["note"]?.asString.flatMap { Int($0) } ?? 0) >= least ? .right : .wrong
    }

    private func write() async {
        while !Task.isCancelled {
            let next = acknowledged.load(ordering: .sequentiallyConsistent) + 1
            let body =
                #"{"query": "mutation { update_orders(filter: {id: {eq: \#(Self.written)}}, data: {note: \"\#(next)\"}) { affected_rows } }"}"#
            let due = BootClock.now
            let reply = try? await node.send(.post, "/query", body)
            let isDone = reply?.status == 200 && reply?.body["errors"] == nil
            if isDone { acknowledged.store(next, ordering: .sequentiallyConsistent) }
            if Task.isCancelled { return }
            if !isDone { samples.withLock { $0.append(Sample(due: due, milliseconds: 0, outcome: .failed)) } }
            try? await BootClock().sleep(for: .seconds(1))  // cancelled: the loop ends
        }
    }
}
