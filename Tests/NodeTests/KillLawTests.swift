import ApusDatabase
import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// `kill -9` of a node at random instants of inserts and deletes: what was acknowledged is there after the restart, nothing twice,
/// nothing half, and a request that got no answer has its effect once when it is repeated with its key.
@Suite("law: a killed node")
struct KillLawTests {
    static let seed: UInt64 = getenv("APUS_SEED").flatMap { UInt64(String(cString: $0)) } ?? 20_261_121
    static let rounds = LawSize.scaled(6, full: 100)
    static let writers = 4
    static let batch = 12

    /// With `seals` shards are sealed and merged all the time, so that the node is killed in the midst of that.
    @Test("keeps every acknowledged operation, whole and once, and leaves no object behind", arguments: [false, true])
    func killed(seals: Bool) async throws {
        let environment = seals ? ["APUS_VECTORS_SEAL_POINTS": "256"] : [:]
        let loops = EventLoops(count: 2)
        let directory = try TemporaryDirectory()
        var random = SeededGenerator(seed: Self.seed)
        var model = Model()
        var node = try await NodeProcess.start(directory: directory.path + "/data", environment: environment, loops: loops)
        let created = try await node.send(
            .post, "/collections", #"{"name": "c", "dimension": 4, "metric": "euclidean", "sharding": {"shard_count": 3}}"#)
        #expect(created.status < 300)

        for round in 0..<Self.rounds {
            let victim = node
            let known = model
            let pause = Duration.milliseconds(Int64.random(in: 5...(seals ? 1200 : 200), using: &random))
            let killer = Task {
                try await BootClock().sleep(for: pause)
                await victim.kill()
            }
            let results = await withTaskGroup(of: [Attempt].self) { group in
                for writer in 0..<Self.writers {
                    let seed = random.next()
                    group.addTask { await Self.write(to: victim, round: round, writer: writer, known: known, seed: seed) }
                }
                return await group.reduce(into: [Attempt]()) { $0 += $1 }
            }
            _ = try await killer.value
            node = try await NodeProcess.start(directory: directory.path + "/data", environment: environment, loops: loops)

            let after = try await Self.contents(of: node)
            for attempt in results where attempt.isAcknowledged { model.apply(attempt) }
            let unanswered = results.filter { !$0.isAcknowledged }
            for attempt in unanswered {
                // Either all of it happened or nothing.
                let happened = Set(attempt.ids.map { (after[$0] != nil) == attempt.isInsert })
                #expect(happened.count == 1, "seed \(Self.seed), round \(round): half of \(attempt)")
                let reply = try await Self.send(attempt, to: node)
                #expect(reply == 200, "seed \(Self.seed), round \(round): the repeat of \(attempt) was answered \(reply)")
                model.apply(attempt)
            }
            let final = try await Self.contents(of: node)
            #expect(final == model.values, "seed \(Self.seed), round \(round): what is there is not what was acknowledged")
            let description = try await node.send(.get, "/collections/c")
            #expect(description.body["vector_count"] == .integer(Int64(model.values.count)), "seed \(Self.seed), round \(round)")
        }
        #expect(model.values.count > Self.rounds, "the writers wrote too little to prove anything")
        await node.kill()
        // One that has nothing to seal, and cleans up at its start.
        node = try await NodeProcess.start(
            directory: directory.path + "/data", environment: ["APUS_VECTORS_SEAL_POINTS": "1000000"], loops: loops)
        try await node.stopCleanly()
        try await Self.expectNoStrays(directory.path + "/data", sealed: seals)
    }

    /// Every object of the store has a row that names it, and every object that is named is there.
    private static func expectNoStrays(_ data: String, sealed: Bool) async throws {
        let database = try await SQLiteDatabase.open(path: data + "/catalog.sqlite")
        let deadline = BootClock.now.advanced(by: .seconds(20))
        func keys(_ statement: StaticSQL) async throws -> Set<String> {
            Set(try await database.run([Statement(statement)], on: .read, deadline: deadline)[0].map { try $0.text(0) })
        }
        let segments = try await keys("SELECT object FROM apus.segment")
        let live = try await segments.union(keys("SELECT object FROM apus.shard_log WHERE object IS NOT NULL"))
        let dropped = try await keys("SELECT key FROM apus.dropped_object")
        // Those of the process that ended last are taken by its successor.
        let intents = try await keys("SELECT key FROM apus.object_intent")
        #expect(intents.count <= 3)
        await database.close()
        let files = try #require(FileManager.default.enumerator(atPath: data + "/store")).compactMap { $0 as? String }
        let objects = Set(files.map { URL(fileURLWithPath: $0).lastPathComponent }.filter { $0.count == 32 && $0.allSatisfy(\.isHexDigit) })
        #expect(objects.isSubset(of: live.union(dropped).union(intents)) && live.isSubset(of: objects))
        #expect(segments.isEmpty != sealed)
    }

    /// Writes until the node is gone; the last request has no answer, most likely.
    private static func write(to node: NodeProcess, round: Int, writer: Int, known: Model, seed: UInt64) async -> [Attempt] {
        var random = SeededGenerator(seed: seed)
        var attempts: [Attempt] = []
        // Each writer deletes only what it wrote itself, so that the order between writers does not matter.
        var mine = known.values.keys.filter { $0.hasPrefix("w\(writer)-") }.sorted()
        for number in 0..<10_000 {
            let isInsert = mine.count < 3 * batch || Int.random(in: 0..<3, using: &random) > 0
            let key = "w\(writer)-\(round)-\(number)"
            var attempt = Attempt(key: key, isInsert: isInsert, ids: isInsert ? (0..<batch).map { "\(key)-\($0)" } : [], value: number)
            if !isInsert { for _ in 0..<batch { attempt.ids.append(mine.remove(at: Int.random(in: 0..<mine.count, using: &random))) } }
            do {
                attempt.isAcknowledged = try await send(attempt, to: node) == 200
            } catch {
                attempt.isAcknowledged = false  // the node was killed: no answer, which is what this test is about
            }
            attempts.append(attempt)
            guard attempt.isAcknowledged else { return attempts }
            if isInsert { mine += attempt.ids }
        }
        return attempts
    }

    private static func send(_ attempt: Attempt, to node: NodeProcess) async throws -> Int {
        let headers: Headers = ["Idempotency-Key": attempt.key]
        if attempt.isInsert {
            let vectors = attempt.ids.map { #"{"id": "\#($0)", "embedding": [\#(attempt.value), 1, 2, 3]}"# }.joined(separator: ",")
            return try await node.send(.post, "/insert_vectors", #"{"collection": "c", "vectors": [\#(vectors)]}"#, headers: headers).status
        }
        let ids = attempt.ids.map { #""\#($0)""# }.joined(separator: ",")
        return try await node.send(.post, "/batch_delete", #"{"collection": "c", "ids": [\#(ids)]}"#, headers: headers).status
    }

    /// All points: id to the first number of its vector. Fails if a page repeats an id.
    private static func contents(of node: NodeProcess) async throws -> [String: Int] {
        var found: [String: Int] = [:]
        while true {
            let page = try await node.send(.get, "/collections/c/vectors?limit=50&offset=\(found.count)")
            guard case .array(let vectors)? = page.body["vectors"] else { throw NodeFailure("no list: \(page)") }
            for vector in vectors {
                guard case .string(let id)? = vector["id"], case .array(let numbers)? = vector["vector"], let first = numbers.first?.number
                else { throw NodeFailure("no vector: \(vector)") }
                #expect(found.updateValue(Int(first), forKey: id) == nil, "\(id) is there twice")
            }
            if vectors.count < 50 { return found }
        }
    }
}

/// What the clients know.
private struct Model: Sendable {
    var values: [String: Int] = [:]

    mutating func apply(_ attempt: Attempt) {
        for id in attempt.ids { values[id] = attempt.isInsert ? attempt.value : nil }
    }
}

private struct Attempt: Sendable, CustomStringConvertible {
    var key: String
    var isInsert: Bool
    var ids: [String]
    var value: Int
    var isAcknowledged = false

    var description: String { "\(isInsert ? "insert" : "delete") \(key)" }
}

extension JSONValue {
    fileprivate var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}
