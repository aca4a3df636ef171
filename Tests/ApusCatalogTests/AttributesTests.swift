import ApusDatabase
import ApusTypes
import Testing

@testable import ApusCatalog

@Suite("attributes of collections")
struct AttributesTests {
    @Test("aliases change all together or not at all, and never share a name with a collection", arguments: Backend.allCases)
    func aliases(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let one = try await catalog.collections.create("one", configuration: "{}", shardCount: 1, deadline: lab.deadline)
            let two = try await catalog.collections.create("two", configuration: "{}", shardCount: 1, deadline: lab.deadline)
            func aliases() async throws -> [CollectionName: CollectionID] {
                try await catalog.attributes.read(deadline: lab.deadline).aliases
            }
            func change(_ changes: AliasChange...) async throws { try await catalog.attributes.change(changes, deadline: lab.deadline) }
            try await change(.set(alias: "live", collection: "one"), .set(alias: "old", collection: "two"))
            try await change(.rename(alias: "old", to: "older"), .set(alias: "live", collection: "two"), .remove(alias: "none"))
            #expect(try await aliases() == ["live": two.id, "older": two.id])
            for (changes, code) in [
                ([.set(alias: "live", collection: "one"), .set(alias: "x", collection: "none")], .collectionUnknown),
                ([.remove(alias: "live"), .set(alias: "two", collection: "one")], .collectionExists),
                ([.remove(alias: "live"), .rename(alias: "none", to: "x")], .aliasUnknown),
            ] as [([AliasChange], ErrorCode)] {
                let error = try await apusError { try await catalog.attributes.change(changes, deadline: lab.deadline) }
                #expect(error.code == code)
                #expect(try await aliases() == ["live": two.id, "older": two.id], "nothing of it was done")
            }
            let taken = try await apusError {
                _ = try await catalog.collections.create("live", configuration: "{}", shardCount: 1, deadline: lab.deadline)
            }
            #expect(taken.code == .collectionExists && taken.context["alias"] == "live")
            try await catalog.collections.delete("two", deadline: lab.deadline)
            #expect(try await aliases() == [:])
            #expect(one.id < two.id)
        }
    }

    @Test("settings and indexes are the collection's, and go with it", arguments: Backend.allCases)
    func settings(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let row = try await catalog.collections.create(
                "c", configuration: "{}", settings: "first", shardCount: 1, deadline: lab.deadline)
            let before = try await catalog.feed.head(deadline: lab.deadline)
            try await catalog.attributes.configure(row.id, deadline: lab.deadline) { ($0 ?? "nothing") + ", second" }
            try await catalog.attributes.setIndex(on: "a.b", of: row.id, to: "integer", deadline: lab.deadline)
            try await catalog.attributes.setIndex(on: "c", of: row.id, to: "text", deadline: lab.deadline)
            try await catalog.attributes.setIndex(on: "c", of: row.id, to: nil, deadline: lab.deadline)
            let read = try await catalog.attributes.read(deadline: lab.deadline)
            #expect(read.settings == [row.id: "first, second"] && read.payloadIndexes == [row.id: ["a.b": "integer"]])
            // Every change is in the feed, so that all nodes follow it.
            #expect(
                try await catalog.feed.read(from: before, deadline: lab.deadline).map(\.key)
                    == Array(repeating: row.id.description, count: 4))
            try await catalog.collections.delete("c", deadline: lab.deadline)
            try await catalog.retention.sweep(deletedCollections: .zero, deadline: lab.deadline)
            #expect(try await catalog.attributes.read(deadline: lab.deadline) == CollectionAttributeRows())
            let gone = try await apusError { try await catalog.attributes.configure(row.id, deadline: lab.deadline) { _ in "x" } }
            #expect(gone.code == .collectionUnknown)
        }
    }

    @Test("a snapshot's object lives by its row: without an intent it gets none, without a row it is dropped", arguments: Backend.allCases)
    func snapshots(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let row = try await catalog.collections.create("c", configuration: "{}", shardCount: 1, deadline: lab.deadline)
            var random = SystemRandomNumberGenerator()
            let keys = (0..<3).map { _ in ObjectKey.random(using: &random) }
            func add(_ name: String, _ key: ObjectKey) async throws {
                _ = try await catalog.snapshots.add(
                    name, object: key, size: ByteCount(5), digest: .origin, to: row.id, deadline: lab.deadline)
            }
            let lost = try await apusError { try await add("s", keys[0]) }
            #expect(lost.code == .intentLost)
            for key in keys { try await catalog.objects.record(key, by: "n", deadline: lab.deadline) }
            try await add("s", keys[0])
            try await add("t", keys[1])
            try await add("s", keys[2])  // takes the first one's place
            #expect(
                try await catalog.snapshots.list(of: row.id, deadline: lab.deadline).map(\.object).sorted(by: {
                    $0.description < $1.description
                }) == [keys[1], keys[2]].sorted { $0.description < $1.description })
            var counts = try await catalog.objects.counts(deadline: lab.deadline)
            #expect(counts.intents == 0 && counts.dropped == 1)
            #expect(try await catalog.objects.unnamed(among: keys, leader: nil, deadline: lab.deadline) == [])
            #expect(try await catalog.snapshots.remove("t", of: row.id, deadline: lab.deadline))
            #expect(try await !catalog.snapshots.remove("t", of: row.id, deadline: lab.deadline))
            try await catalog.collections.delete("c", deadline: lab.deadline)
            #expect(try await catalog.objects.unnamed(among: [keys[2]], leader: nil, deadline: lab.deadline) == [])
            try await catalog.retention.sweep(deletedCollections: .zero, deadline: lab.deadline)
            counts = try await catalog.objects.counts(deadline: lab.deadline)
            #expect(counts.dropped == 3)
        }
    }
}
