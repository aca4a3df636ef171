import ApusDatabase
import ApusTypes
import CatalogTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusCatalog

@Suite("laws of the change feed")
struct FeedLaws {
    @Test("versions become visible in order under 16 writers", arguments: Backend.allCases)
    func order(backend: Backend) async throws {
        let requests = LawSize.scaled(20, full: 2000)
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let deadline = lab.deadline(in: .seconds(900))
            let processes = lab.url == nil ? 1 : 3
            let writers = lab.url == nil ? 16 : 6
            let expected = Int64(processes * writers * requests)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        // Reads all the time: whatever is visible must follow what was visible, without a gap.
                        var position = FeedPosition(incarnation: catalog.incarnation, version: 0, digest: .origin)
                        while position.version < expected {
                            for change in try await catalog.feed.read(from: position, limit: 50, deadline: deadline) {
                                #expect(change.version == position.version + 1)
                                position = FeedPosition(incarnation: catalog.incarnation, version: change.version, digest: change.digest)
                            }
                        }
                    }
                }
                group.addTask {
                    if let url = lab.url {
                        _ = try await LawProcesses.run(processes, "publish", url: url, writers: writers, requests: requests, seed: 1)
                    } else {
                        let workload = Workload(process: "p", writers: writers, requests: requests, seed: 1, deadline: deadline)
                        try await workload.publish(to: catalog)
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await catalog.feed.head(deadline: deadline).version == expected)
        }
    }

    @Test("a follower is told to read everything, then every change once and in order", arguments: Backend.allCases)
    func follows(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            try await catalog.settings.set("before", to: "1", deadline: lab.deadline)
            try await lab.withAnother { other in
                var events = catalog.feed.follow(from: nil).makeAsyncIterator()
                guard case .rebuild(let start, _)? = try await events.next() else { throw BrokenLaw("a new follower rebuilds first") }
                #expect(start.version == 1)
                var keys: [String] = []
                for number in 0..<30 {
                    try await other.settings.set("s\(number)", to: "1", deadline: lab.deadline)
                    if number % 7 == 0 { keys += try await Self.changes(of: &events) }
                }
                while keys.count < 30 { keys += try await Self.changes(of: &events) }
                #expect(keys == (0..<30).map { "s\($0)" })
            }
        }
    }

    private static func changes(of events: inout FeedFollower.Iterator) async throws -> [String] {
        guard case .changes(let changes, _)? = try await events.next() else { throw BrokenLaw("the follower was told to rebuild") }
        return changes.map(\.key)
    }

    @Test("a change is heard of by NOTIFY, from the node that made it")
    func notifies() async throws {
        try await CatalogLab.with(.postgreSQL) { lab in
            let catalog = try await lab.open()
            try await lab.withAnother { other in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await other.run() }
                    group.addTask { try await catalog.run() }
                    let generation = catalog.access.changed.generation
                    // Publishes until a wake-up comes: the first may be sent before the other listens.
                    var number = 0
                    while catalog.access.changed.generation == generation {
                        number += 1
                        try await other.settings.set("n", to: "\(number)", deadline: lab.deadline)
                        try await catalog.access.changed.wait(
                            after: generation, until: lab.deadline(in: .milliseconds(100)), clock: lab.clock)
                        try #require(number < 600)
                    }
                    group.cancelAll()
                }
            }
        }
    }

    @Test("a transaction that fails publishes nothing", arguments: Backend.allCases)
    func failure(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            _ = try await lab.shards(1, of: catalog)
            let before = try await catalog.feed.head(deadline: lab.deadline)
            let error = try await apusError { _ = try await lab.shards(1, of: catalog) }
            #expect(error.code == .collectionExists)
            #expect(try await catalog.feed.head(deadline: lab.deadline) == before)
        }
    }

    @Test("a position that was trimmed, has another digest, or is ahead is another history", arguments: Backend.allCases)
    func rewound(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            try await Workload(process: "p", writers: 1, requests: 30, seed: 1, deadline: lab.deadline).publish(to: catalog)
            let head = try await catalog.feed.head(deadline: lab.deadline)
            let first = try await catalog.feed.read(
                from: FeedPosition(incarnation: head.incarnation, version: 0, digest: .origin), limit: 1, deadline: lab.deadline)[0]
            try await lab.run("DELETE FROM apus.change WHERE version <= 10")
            let wrong = [
                FeedPosition(incarnation: head.incarnation, version: 0, digest: .origin),
                FeedPosition(incarnation: head.incarnation, version: 1, digest: first.digest),
                FeedPosition(incarnation: head.incarnation, version: 20, digest: first.digest),
                FeedPosition(incarnation: head.incarnation, version: head.version + 1, digest: head.digest),
            ]
            for position in wrong {
                let error = try await apusError { _ = try await catalog.feed.read(from: position, deadline: lab.deadline) }
                #expect(error.code == .catalogRewound)
                var events = catalog.feed.follow(from: position).makeAsyncIterator()
                guard case .rebuild(let start, _)? = try await events.next() else {
                    throw BrokenLaw("version \(position.version) was followed")
                }
                #expect(start == head)
            }
            #expect(try await catalog.feed.read(from: head, deadline: lab.deadline).isEmpty)
        }
    }
}
