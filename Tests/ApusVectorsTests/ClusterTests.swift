import ApusCatalog
import ApusTypes
import ApusVectorIndex
import DatabaseTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusVectors

@Suite("shards over three nodes")
struct ClusterTests {
    private static func points(_ count: Int) throws -> [Point] {
        try (0..<count).map { number in
            let angle = Float(number) * 0.1
            return try Point(
                "\(number)", [angle.truncatingRemainder(dividingBy: 7), 1 + Float(number % 13)],
                #"{"n":\#(number),"kind":"\#(["red", "green", "blue"][number % 3])","content":"word\#(number % 5) and more"}"#)
        }
    }

    @Test("every node gives the same answers, which are those of one node", arguments: [1, 2])
    func answers(replicas: Int) async throws {
        try await TestCluster.with(3) { cluster in
            let points = try Self.points(200)
            let deadline = cluster.deadline
            let configuration = CollectionConfiguration(dimension: 2, metric: .euclidean, sharding: .init(shards: 6))
            let made = try await cluster.nodes[0].service.createCollection("c", configuration, replicas: replicas, deadline: deadline)
            #expect(try await cluster.servers(of: made.id).map(\.count) == [Int](repeating: replicas, count: 6))
            for (number, part) in [points.prefix(70), points[70..<140], points.suffix(60)].enumerated() {
                _ = try await cluster.nodes[number].service.upsert(Array(part), into: "c", deadline: deadline)
            }
            let one = try await withTemporaryDirectory { directory in
                try await TestNode.onSQLite(directory + "/catalog.db") { node in
                    _ = try await node.service.createCollection("c", configuration, deadline: deadline)
                    _ = try await node.service.upsert(points, into: "c", deadline: deadline)
                    return try await Self.everything(node.service, deadline)
                }
            }
            for node in cluster.nodes { #expect(try await Self.everything(node.service, deadline) == one) }
            #expect(cluster.switchboard.calls(of: .search) > 0 && cluster.switchboard.calls(of: .tell) > 0)
        }
    }

    @Test("a call of a later version is refused by name; whoever asked asks another replica, and writes do not wait for who cannot be told")
    func laterCalls() async throws {
        try await TestCluster.with(3) { cluster in
            let deadline = cluster.deadline
            let error = await #expect(throws: ApusError.self) {
                try await cluster.nodes[0].service.answer("shards.search/9", [], deadline: deadline)
            }
            #expect(error?.code == .methodUnknown && error?.summary.contains("shards.search/9") == true)
            let configuration = CollectionConfiguration(dimension: 2, metric: .euclidean, sharding: .init(shards: 6))
            _ = try await cluster.nodes[0].service.createCollection("c", configuration, replicas: 2, deadline: deadline)
            cluster.switchboard.age(TestCluster.name(1))
            _ = try await cluster.nodes[0].service.upsert(Self.points(60), into: "c", deadline: deadline)
            for reader in [0, 2] {
                let found = try await cluster.nodes[reader].service.search(
                    SearchRequest(vector: [3, 4], limit: 60), in: "c", deadline: deadline)
                #expect(found.isComplete && found.hits.count == 60, "\(reader): \(found.missing)")
            }
        }
    }

    @Test("members of payloads come alone from every node; from those of an earlier version with the others")
    func members() async throws {
        try await TestCluster.with(3) { cluster in
            let deadline = cluster.deadline
            let configuration = CollectionConfiguration(dimension: 2, metric: .euclidean, sharding: .init(shards: 6))
            _ = try await cluster.nodes[0].service.createCollection("c", configuration, deadline: deadline)
            _ = try await cluster.nodes[0].service.upsert(Self.points(20), into: "c", deadline: deadline)
            func payloads() async throws -> [String] {
                let page = try await cluster.nodes[1].service.scroll(
                    "c", limit: 20, with: Projection().members(["kind", "n", "none"]), deadline: deadline)
                return page.points.map { String(decoding: $0.payload ?? [], as: UTF8.self) }
            }
            let alone = try await payloads()
            #expect(alone.count == 20 && alone.allSatisfy { $0.contains("\"n\":") && $0.contains("\"kind\":") && !$0.contains("content") })
            cluster.switchboard.forget(MembersQuestion.name)
            let whole = try await payloads()
            #expect(whole.count == 20 && whole.allSatisfy { $0.contains("\"n\":") && $0.contains("\"kind\":") })
        }
    }

    /// What a service says of collection `c`, in words.
    private static func everything(_ service: VectorService, _ deadline: Instant) async throws -> [String] {
        var said: [String] = []
        let red = Filter.equals(PayloadPath("kind"), .string("red"))
        let search = try await service.search(
            SearchRequest(vector: [3, 4], limit: 7, filter: red, projection: [.vector, .payload]), in: "c", deadline: deadline)
        said.append("search \(search.isComplete) \(search.hits.map { "\($0.point)\($0.score)" })")
        said.append("count \(try await service.count("c", matching: red, deadline: deadline))")
        let page = try await service.scroll("c", offset: 3, limit: 5, filter: red, with: [.payload], deadline: deadline)
        said.append("scroll \(page.points) \(page.next.debugDescription)")
        let facet = try await service.facet("c", at: PayloadPath("kind"), limit: 5, deadline: deadline)
        said.append("facet \(facet)")
        let ordered = try await service.scroll(
            "c", by: PointOrder(path: PayloadPath("n"), isDescending: true), limit: 4, with: [.payload], deadline: deadline)
        said.append("order \(ordered.map(\.point.id))")
        let words = try await service.search(words: "word3", limit: 6, projection: [.payload], in: "c", deadline: deadline)
        said.append("words \(words.hits.map { "\($0.point.id)" }.sorted())")
        var query = PointQuery(.average(positive: [.point(.integer(3)), .point(.integer(4))], negative: []))
        query.limit = 5
        said.append("average \(try await service.query(query, in: "c", with: [], deadline: deadline).map(\.point.id))")
        query.kind = .examples(.bestScore(positive: [.point(.integer(3))], negative: [.point(.integer(90))]))
        said.append("examples \(try await service.query(query, in: "c", with: [], deadline: deadline).map(\.point.id))")
        query.kind = .nearest(.value(.dense([1, 1])), diversity: nil)
        let groups = try await service.groups(
            query, by: PayloadPath("kind"), limit: 3, size: 2, in: "c", with: [.payload], deadline: deadline)
        said.append("groups \(groups.map { "\($0.value)\($0.hits.map(\.point))" })")
        said.append("points \(try await service.points([.integer(7), .integer(999), .integer(8)], in: "c", deadline: deadline))")
        said.append("kind \(try await service.countPoints("c", with: .integer, at: PayloadPath("n"), deadline: deadline))")
        said.append("whole \(try await service.wholeCollection("c", deadline: deadline).points)")
        said.append("verified \(try await service.verify("c", deadline: deadline).map { "\($0.isWhole) \($0.memory.count)" })")
        return said
    }

    @Test("what was acknowledged by one node is found through the next", arguments: [1, 2])
    func visibility(replicas: Int) async throws {
        try await TestCluster.with(3) { cluster in
            let deadline = cluster.nodes[0].clock.now.advanced(by: .seconds(60))
            _ = try await cluster.nodes[0].service.createCollection(
                "c", .init(dimension: 2, metric: .euclidean, sharding: .init(shards: 5)), replicas: replicas, deadline: deadline)
            var missed = 0
            for number in 0..<150 {
                let writer = cluster.nodes[number % 3].service
                let reader = cluster.nodes[(number + 1) % 3].service
                let vector: [Float] = [Float(number) * 10, 1]
                _ = try await writer.upsert([try Point("\(number)", vector)], into: "c", deadline: deadline)
                let found = try await reader.search(SearchRequest(vector: vector, limit: 1), in: "c", deadline: deadline)
                if found.hits.first?.point.id != .integer(UInt64(number)) { missed += 1 }
                if number % 3 == 0 {
                    let gone = try await writer.delete([.integer(UInt64(number))], from: "c", deadline: deadline)
                    #expect(gone.affected == 1)
                    if try await !reader.points([.integer(UInt64(number))], in: "c", deadline: deadline).isEmpty { missed += 1 }
                }
            }
            #expect(missed == 0)
            #expect(try await cluster.nodes[2].service.count("c", deadline: deadline) == 100)
        }
    }

    @Test("changes by filter, moves between collections and snapshots reach all shards, wherever they are asked for")
    func wholeCollections() async throws {
        try await TestCluster.with(3) { cluster in
            let deadline = cluster.deadline
            let (one, two, three) = (cluster.nodes[0].service, cluster.nodes[1].service, cluster.nodes[2].service)
            let configuration = CollectionConfiguration(dimension: 2, sharding: .init(shards: 6))
            _ = try await one.createCollection("c", configuration, deadline: deadline)
            _ = try await two.createCollection("d", configuration, deadline: deadline)
            _ = try await two.upsert(try Self.points(90), into: "c", deadline: deadline)
            let snapshot = try await three.createSnapshot(of: "c", deadline: deadline)
            let red = Filter.equals(PayloadPath("kind"), .string("red"))
            #expect(try await three.delete(matching: red, from: "c", deadline: deadline).affected == 30)
            #expect(try await one.count("c", deadline: deadline) == 60)
            let updated = try await two.update(
                matching: .equals(PayloadPath("kind"), .string("blue")), with: [.merge(Array(#"{"kind":"navy"}"#.utf8))], in: "c",
                deadline: deadline)
            #expect(updated.affected == 30)
            #expect(try await one.facet("c", at: PayloadPath("kind"), limit: 9, deadline: deadline).map(\.count) == [30, 30])
            let moved = try await one.move((0..<9).map { .integer($0) }, from: "c", to: "d", deadline: deadline)
            #expect(moved.moved.count == 6 && moved.failures.isEmpty)
            #expect(try await three.count("d", deadline: deadline) == 6)
            try await two.recover("c", from: snapshot)
            #expect(try await one.count("c", matching: red, deadline: deadline) == 30)
            #expect(try await three.count("c", deadline: deadline) == 90)
        }
    }

    @Test("without its only replica a shard is named as missing, and counts are refused; with another one nothing is missing")
    func lostNodes() async throws {
        try await TestCluster.with(3) { cluster in
            let deadline = cluster.deadline
            let service = cluster.nodes[0].service
            for (name, replicas) in [("single", 1), ("double", 2)] {
                _ = try await service.createCollection(
                    CollectionName(name), .init(dimension: 2, sharding: .init(shards: 3)), replicas: replicas, deadline: deadline)
                _ = try await service.upsert(try Self.points(60), into: CollectionName(name), deadline: deadline)
            }
            for isFrozen in [false, true] {
                if isFrozen { cluster.switchboard.freeze("n2") } else { cluster.switchboard.cut("n2") }
                let soon = service.clock.now.advanced(by: .milliseconds(700))
                let partial = try await service.search(SearchRequest(vector: [1, 1], limit: 100), in: "single", deadline: soon)
                #expect(partial.missing.count == 1 && partial.hits.count < 60)
                let refused = await #expect(throws: ApusError.self) {
                    try await service.count("single", deadline: service.clock.now.advanced(by: .milliseconds(700)))
                }
                let described = try await service.wholeCollection(
                    "single", deadline: service.clock.now.advanced(by: .milliseconds(700)))
                #expect(described.problem != nil && !described.isComplete)
                #expect(refused.map { [.peerUnavailable, .deadlineExceeded].contains($0.code) } == true)
                let whole = try await service.search(SearchRequest(vector: [1, 1], limit: 100), in: "double", deadline: deadline)
                #expect(whole.isComplete && whole.hits.count == 60)
                #expect(try await service.count("double", deadline: deadline) == 60)
                // Acknowledged although not all could be told: the one that was not looks before it answers.
                _ = try await service.upsert([try Point("new", [9, 9])], into: "double", deadline: deadline)
                #expect(try await service.delete([try PointID("new")], from: "double", deadline: deadline).affected == 1)
                cluster.switchboard.heal()
                #expect(try await service.wholeCollection("single", deadline: deadline).problem == nil)
            }
        }
    }

    private final class Over: Sendable { let value = Atomic(false) }

    @Test("what a node without its catalog answers is told with its age, also by a node that has one and holds nothing itself")
    func oldAnswers() async throws {
        try await TestCluster.with(2) { cluster in
            let (deadline, asked) = (cluster.deadline, cluster.nodes[1].service)
            let made = try await asked.createCollection(
                "c", .init(dimension: 2, sharding: .init(shards: 1)), replicas: 1, deadline: deadline)
            _ = try await asked.upsert(try Self.points(10), into: "c", deadline: deadline)
            #expect(try await cluster.servers(of: made.id) == [["n1"]])
            let questions: [@Sendable () async throws -> Int] = [
                { try await asked.count("c", deadline: deadline) },
                { try await asked.scroll("c", limit: 100, deadline: deadline).points.count },
                { try await asked.points(try Self.points(10).map(\.id), in: "c", deadline: deadline).count },
            ]
            func ages() async throws -> [Duration?] {
                var ages: [Duration?] = []
                for question in questions {
                    let answers = OldAnswers()
                    let found = try await OldAnswers.$seen.withValue(answers) { try await question() }
                    #expect(found == 10)
                    ages.append(asked.age(of: answers))
                }
                return ages
            }
            #expect(try await ages() == [nil, nil, nil])
            cluster.databases[0].isAway = true
            try await eventually("it is known") { cluster.nodes[0].service.isCatalogAway }
            #expect(asked.staleness == nil)
            #expect(try await ages().allSatisfy { $0.map { $0 >= .seconds(1) } == true })
            cluster.databases[0].isAway = false
        }
    }

    @Test("who asks a node that stops asks the one that serves in its place, also where the change was known before the refusal")
    func draining() async throws {
        try await TestCluster.with(3) { cluster in
            let (deadline, asked) = (cluster.deadline, cluster.nodes[1].service)
            let made = try await asked.createCollection("c", .init(dimension: 2, sharding: .init(shards: 1)), deadline: deadline)
            _ = try await asked.upsert(try Self.points(10), into: "c", deadline: deadline)
            let shard = try #require(try await cluster.nodes[0].catalog.shards.list(of: made.id, deadline: deadline).first?.id)
            cluster.switchboard.drain("n1") {
                try await cluster.change(ReplicaChange(shard, on: "n3", from: [nil], to: .loading))
                try await eventually("n3 serves") { try await cluster.servers(of: made.id) == [["n1", "n3"]] }
                try await cluster.change(ReplicaChange(shard, on: "n1", from: [.serving], to: .retiring))
                try await eventually("who has asked knows that") { asked.allShards()[0].replicas.states["n1"] == .retiring }
            }
            let found = try await asked.search(SearchRequest(vector: [1, 1], limit: 10), in: "c", deadline: deadline)
            #expect(found.isComplete && found.hits.count == 10)
        }
    }

    @Test("a shard moves while points are written and searched: no search is incomplete, no point is missed, any node can verify")
    func moving() async throws {
        try await TestCluster.with(3) { cluster in
            let until = cluster.nodes[0].clock.now.advanced(by: .seconds(60))
            let configuration = CollectionConfiguration(dimension: 2, metric: .euclidean, sharding: .init(shards: 2))
            let made = try await cluster.nodes[0].service.createCollection("c", configuration, deadline: until)
            let shard = try #require(try await cluster.nodes[0].catalog.shards.list(of: made.id, deadline: until).first?.id)
            // Not cancelled: that would end a write in the middle.
            let isOver = Over()
            let writing = Task {
                var number = 0
                var problems: [String] = []
                while !isOver.value.load(ordering: .relaxed) {
                    let vector: [Float] = [Float(number) * 10, 1]
                    _ = try await cluster.nodes[number % 3].service.upsert([try Point("\(number)", vector)], into: "c", deadline: until)
                    let found = try await cluster.nodes[(number + 1) % 3].service.search(
                        SearchRequest(vector: vector, limit: 1), in: "c", deadline: until)
                    if !found.isComplete { problems.append("incomplete at \(number): \(found.missing)") }
                    if found.hits.first?.point.id != .integer(UInt64(number)) { problems.append("missed \(number)") }
                    number += 1
                }
                return (number, problems)
            }
            let verifying = Task {
                var count = 0
                var problems: [String] = []
                while !isOver.value.load(ordering: .relaxed) {
                    for shard in try await cluster.nodes[count % 3].service.verify("c", deadline: until) where !shard.isWhole {
                        problems.append("not whole at \(count): \(shard)")
                    }
                    count += 1
                }
                return problems
            }
            for turn in 0..<4 {
                let from = TestCluster.name([0, 2, 1, 0][turn])
                let to = TestCluster.name([2, 1, 0, 2][turn])
                try await cluster.change(
                    ReplicaChange(shard, on: to, from: [nil], to: .loading), ReplicaChange(shard, on: from, from: [.serving], to: .retiring)
                )
                try await eventually("the new replica serves") { try await cluster.servers(of: made.id)[0].contains(to) }
                try await Task.sleep(for: .milliseconds(100))
                try await cluster.change(ReplicaChange(shard, on: from, from: [.retiring], to: .leaving))
                try await eventually("the old replica is dropped") {
                    try await cluster.nodes[0].catalog.shards.list(of: made.id, deadline: until)[0].replicas
                        == [.init(node: to, state: .serving)]
                }
            }
            isOver.value.store(true, ordering: .relaxed)
            let (written, problems) = try await writing.value
            #expect(problems == [])
            #expect(try await verifying.value == [])
            #expect(try await cluster.nodes[1].service.count("c", deadline: until) == written)
            let whole = try await cluster.nodes[0].service.wholeCollection("c", deadline: until)
            #expect(whole.points == written && whole.isComplete)
        }
    }
}
