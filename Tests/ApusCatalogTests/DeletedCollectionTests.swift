import ApusDatabase
import ApusTypes
import CatalogTestKit
import DatabaseTestKit
import Testing

@testable import ApusCatalog

@Suite("deleted collections")
struct DeletedCollectionTests {
    @Test(
        "a deleted collection comes back as it was, under its name or another, with the aliases that are free", arguments: Backend.allCases)
    func undelete(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let made = try await catalog.collections.create(
                "c", configuration: "{}", settings: "kept", shardCount: 3, replicas: 2, nodes: [["n1"], ["n1"], ["n1"]],
                deadline: lab.deadline)
            for alias in ["a", "b"] as [CollectionName] {
                try await catalog.attributes.change([.set(alias: alias, collection: "c")], deadline: lab.deadline)
            }
            let workload = Workload(process: "p", writers: 2, requests: 30, seed: 5, deadline: lab.deadline)
            _ = try await workload.append(to: catalog, shards: made.shards)
            let heads = try await catalog.log.heads(of: made.shards, deadline: lab.deadline)

            try await catalog.collections.delete("c", deadline: lab.deadline)
            try await catalog.retention.sweep(deadline: lab.deadline)
            #expect(try await catalog.shards.list(deadline: lab.deadline).isEmpty)
            let append = AppendRequest(appends: [LogAppend(shard: made.shards[0], operation: [1])])
            let late = try await apusError { _ = try await catalog.log.append(append, deadline: lab.deadline) }
            #expect(late.code == .shardUnknown)
            let deleted = try await catalog.collections.deleted(deadline: lab.deadline)
            #expect(deleted.map(\.id) == [made.id] && deleted[0].shards == 3 && Set(deleted[0].aliases) == ["a", "b"])

            // Its name and one of the others are taken meanwhile.
            _ = try await catalog.collections.create("c", configuration: "{}", shardCount: 1, deadline: lab.deadline)
            try await catalog.attributes.change([.set(alias: "b", collection: "c")], deadline: lab.deadline)
            let taken = try await apusError { _ = try await catalog.collections.undelete(made.id, deadline: lab.deadline) }
            #expect(taken.code == .collectionExists)
            let back = try await catalog.collections.undelete(made.id, as: "d", deadline: lab.deadline)
            #expect(back.id == made.id && back.name == "d" && back.shards == made.shards && back.replicas == 2)
            #expect(try await catalog.log.heads(of: made.shards, deadline: lab.deadline) == heads)
            let rows = try await catalog.attributes.read(deadline: lab.deadline)
            #expect(rows.aliases["a"] == made.id && rows.aliases["b"] != made.id && rows.settings == [made.id: "kept"])
            #expect(
                try await catalog.shards.list(of: made.id, deadline: lab.deadline).allSatisfy { $0.replicas.isEmpty && $0.version == 1 })
            _ = try await catalog.log.append(append, deadline: lab.deadline)
            #expect(try await catalog.collections.deleted(deadline: lab.deadline).isEmpty)
            let gone = try await apusError { _ = try await catalog.collections.undelete(made.id, deadline: lab.deadline) }
            #expect(gone.code == .collectionUnknown)
        }
    }

    @Test("after its time, or when somebody says so, a deletion is final and leaves nothing", arguments: Backend.allCases)
    func purge(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            for name in ["c", "d"] as [CollectionName] {
                let made = try await catalog.collections.create(name, configuration: "{}", shardCount: 2, deadline: lab.deadline)
                let workload = Workload(process: name.rawValue, writers: 1, requests: 20, seed: 5, deadline: lab.deadline)
                _ = try await workload.append(to: catalog, shards: made.shards)
                try await catalog.collections.delete(name, deadline: lab.deadline)
            }
            let deleted = try await catalog.collections.deleted(deadline: lab.deadline)
            #expect(try await catalog.collections.purge(deleted[0].id, deadline: lab.deadline))
            #expect(try await !catalog.collections.purge(deleted[0].id, deadline: lab.deadline))
            try await lab.run("UPDATE apus.clock_offset SET milliseconds = milliseconds + 90000000")
            try await catalog.retention.sweep(deadline: lab.deadline)
            for table in ["deleted_collection", "deleted_head", "deleted_shard", "shard_log", "shard_manifest"] {
                let count = try await lab.run("SELECT count(*) FROM apus." + StaticSQL.identifier(table))
                #expect(try count[0].integer(0) == 0, "\(table)")
            }
        }
    }

    @Test(
        "another number of replicas is told in the feed and recorded; nodes that leave at once see each other", arguments: Backend.allCases)
    func replicas(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let made = try await catalog.collections.create(
                "c", configuration: "{}", shardCount: 1, nodes: [["n1"]], deadline: lab.deadline)
            let before = try await catalog.feed.head(deadline: lab.deadline)
            #expect(try await catalog.collections.setReplicas(3, of: made.id, why: "of a test", deadline: lab.deadline))
            #expect(try await !catalog.collections.setReplicas(3, of: made.id, why: "of a test", deadline: lab.deadline))
            #expect(try await catalog.feed.read(from: before, deadline: lab.deadline).map(\.key) == [made.id.description])
            #expect(try await catalog.collections.find(made.id, deadline: lab.deadline)?.replicas == 3)
            let record = try await catalog.records.list(subject: "collection c", deadline: lab.deadline).first
            #expect(record?.summary == "replication factor 3 instead of 1, because of a test")

            for name in ["n1", "n2"] { _ = try await catalog.nodes.register(.init(name: NodeName(name), url: ""), deadline: lab.deadline) }
            try await catalog.nodes.set(.draining, of: "n1", ifLeaving: [], deadline: lab.deadline)
            let overlooked = try await apusError {
                try await catalog.nodes.set(.draining, of: "n2", ifLeaving: [], deadline: lab.deadline)
            }
            #expect(overlooked.code == .writeAborted)
            try await catalog.nodes.set(.draining, of: "n2", ifLeaving: ["n1"], deadline: lab.deadline)
            // A node that is forgotten takes its replicas along, and all who follow the feed hear of it.
            let version = try await catalog.shards.list(of: made.id, deadline: lab.deadline)[0].version
            let place = try await catalog.feed.head(deadline: lab.deadline)
            try await catalog.nodes.remove("n1", deadline: lab.deadline)
            let shard = try await catalog.shards.list(of: made.id, deadline: lab.deadline)[0]
            #expect(shard.replicas.isEmpty && shard.version == version + 1)
            #expect(Set(try await catalog.feed.read(from: place, deadline: lab.deadline).map(\.topic)) == [.collection, .node])
            #expect(try await catalog.shards.replicaCounts(deadline: lab.deadline) == [:])
        }
    }
}
