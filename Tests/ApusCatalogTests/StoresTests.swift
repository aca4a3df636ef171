import ApusDatabase
import ApusTypes
import Testing

@testable import ApusCatalog

@Suite("typed stores")
struct StoresTests {
    @Test("a collection is created with its shards once, whoever asks", arguments: Backend.allCases)
    func collections(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            try await lab.withAnother { other in
                let created = try await withThrowingTaskGroup(of: CollectionRow?.self) { group in
                    for index in 0..<10 {
                        let node = index % 2 == 0 ? catalog : other
                        group.addTask {
                            do {
                                return try await node.collections.create(
                                    "it's \"c\"", configuration: #"{"dimension":3}"#, shardCount: 3, nodes: [["n1"], ["n2"], ["n1"]],
                                    deadline: lab.deadline)
                            } catch let error as ApusError where error.code == .collectionExists { return nil }
                        }
                    }
                    return try await group.reduce(into: [CollectionRow]()) { if let row = $1 { $0.append(row) } }
                }
                #expect(created.count == 1)
                #expect(try await other.collections.list(deadline: lab.deadline) == created)
                #expect(try await other.collections.find("it's \"c\"", deadline: lab.deadline) == created[0])
                #expect(try await other.collections.find(created[0].id, deadline: lab.deadline) == created[0])
                let shards = try await catalog.shards.list(of: created[0].id, deadline: lab.deadline)
                #expect(shards.map(\.id) == created[0].shards)
                #expect(shards.map(\.number) == [0, 1, 2])
                #expect(shards.flatMap(\.replicas).map(\.node) == ["n1", "n2", "n1"])
                let changes = [
                    ReplicaChange(shards[0].id, on: "n3", from: [nil], to: .loading),
                    ReplicaChange(shards[0].id, on: "n1", from: [.serving], to: nil),
                    ReplicaChange(shards[1].id, on: "n2", from: [.loading], to: nil),  // it serves, so it stays
                ]
                #expect(try await catalog.shards.change(changes, deadline: lab.deadline) == Array(changes.prefix(2)))
                let changed = try await catalog.shards.list(deadline: lab.deadline)
                #expect(changed[0].replicas == [.init(node: "n3", state: .loading)])
                #expect(changed[1].replicas == [.init(node: "n2", state: .serving)])
                #expect(changed.map(\.version) == [1, 0, 0])
                let stale = await #expect(throws: ApusError.self) {
                    try await catalog.shards.change(changes, leader: Epoch(77), deadline: lab.deadline)
                }
                #expect(stale?.code == .leaseStale)
                try await other.collections.configure("it's \"c\"", configuration: "{}", deadline: lab.deadline)
                #expect(try await catalog.collections.list(deadline: lab.deadline).map(\.configuration) == ["{}"])
                // Only where the shards still are.
                let heads = Dictionary(uniqueKeysWithValues: created[0].shards.map { ($0, Int64(0)) })
                _ = try await catalog.log.append(
                    AppendRequest(appends: [LogAppend(shard: created[0].shards[1], operation: [1])]), deadline: lab.deadline)
                let refused = await #expect(throws: ApusError.self) {
                    try await other.collections.delete("it's \"c\"", ifStillAt: heads, deadline: lab.deadline)
                }
                #expect(refused?.code == .shardMovedOn)
                #expect(try await catalog.collections.list(deadline: lab.deadline).count == 1)
                try await other.collections.delete("it's \"c\"", deadline: lab.deadline)
                #expect(try await catalog.collections.list(deadline: lab.deadline).isEmpty)
                #expect(try await catalog.shards.list(deadline: lab.deadline).isEmpty)
                let gone = try await apusError { try await catalog.collections.delete("it's \"c\"", deadline: lab.deadline) }
                #expect(gone.code == .collectionUnknown)
                // Created, assigned twice, configured, deleted.
                #expect(try await catalog.feed.head(deadline: lab.deadline).version == 4)
            }
        }
    }

    @Test("a node that registers again has the next incarnation number", arguments: Backend.allCases)
    func nodes(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let nodes = catalog.nodes
            var n1 = NodeRegistration(name: "n1", url: "http://10.0.0.1:1", rpcAddress: "10.0.0.1:2", roles: [.worker], version: "0.1")
            #expect(try await nodes.register(n1, deadline: lab.deadline) == 1)
            n1.url = "http://10.0.0.1:3"
            #expect(try await nodes.register(n1, deadline: lab.deadline) == 2)
            _ = try await nodes.register(NodeRegistration(name: "n0", url: "x"), deadline: lab.deadline)
            try await nodes.set(.draining, of: "n1", deadline: lab.deadline)
            #expect(try await nodes.list(deadline: lab.deadline).map(\.name) == ["n0", "n1"])
            let row = try #require(try await nodes.find("n1", deadline: lab.deadline))
            #expect(row.url == "http://10.0.0.1:3")
            #expect(row.rpcAddress == "10.0.0.1:2")
            #expect(row.roles == [.worker])
            #expect(row.status == .draining)
            #expect(row.incarnation == 2)
            #expect(row.heartbeats == nil)
            // What it was to do outlives its stop.
            try await nodes.leave("n1", incarnation: 2, deadline: lab.deadline)
            #expect(try await nodes.find("n1", deadline: lab.deadline)?.status == .draining)
            try await nodes.remove("n1", deadline: lab.deadline)
            #expect(try await nodes.find("n1", deadline: lab.deadline) == nil)
            #expect(try await apusError { try await nodes.remove("n1", deadline: lab.deadline) }.code == .nodeUnknown)
            #expect(try await apusError { try await nodes.set(.active, of: "n1", deadline: lab.deadline) }.code == .nodeUnknown)
        }
    }

    @Test("a key is verified by its secret, which is nowhere in the catalog, until it is revoked", arguments: Backend.allCases)
    func keys(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let keys = try await lab.open().keys
            let (key, secret) = try await keys.create(name: "import", role: .writer, deadline: lab.deadline)
            #expect(try await keys.verify(secret, deadline: lab.deadline) == key)
            #expect(secret.reveal().hasPrefix("apus_\(key.id)_"))
            for wrong in ["", "apus", secret.reveal() + "0", String(secret.reveal().dropLast()) + "x", "apus_\(key.id)_", "apus_'_'"] {
                #expect(try await keys.verify(Redacted(wrong), deadline: lab.deadline) == nil)
            }
            let stored = try await lab.run("SELECT id, name, digest FROM apus.api_key")[0]
            #expect(try stored.blob(2) == Digest(of: secret.reveal()).bytes)
            #expect(try await keys.revoke(id: key.id, deadline: lab.deadline))
            #expect(try await !keys.revoke(id: key.id, deadline: lab.deadline))
            #expect(try await keys.verify(secret, deadline: lab.deadline) == nil)
            #expect(try await keys.list(deadline: lab.deadline).map { $0.revokedAt != nil } == [true])
        }
    }

    @Test(
        "a key for some collections keeps them; an older program, which knows nothing of them, finds no such key",
        arguments: Backend.allCases)
    func scopedKeys(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let keys = try await lab.open().keys
            let scope = try CollectionScope(["b*", "a", "a"])
            let (key, secret) = try await keys.create(name: "shop", role: .reader, scope: scope, deadline: lab.deadline)
            #expect(key.scope.patterns == ["a", "b*"])
            #expect(try await keys.verify(secret, deadline: lab.deadline) == key)
            #expect(try await keys.list(deadline: lab.deadline) == [key])
            // What an older program reads and compares with the secret's own digest.
            let stored = try await lab.run("SELECT digest FROM apus.api_key")[0]
            #expect(try stored.blob(0) != Digest(of: secret.reveal()).bytes)
            // Whoever changes the row does not widen the key.
            try await lab.run("UPDATE apus.api_key SET collections = NULL")
            #expect(try await keys.verify(secret, deadline: lab.deadline) == nil)
            let error = try await apusError {
                _ = try await keys.create(name: "x", role: .administrator, scope: scope, deadline: lab.deadline)
            }
            #expect(error.code == .requestInvalid && error.context["field"] == "collections")
        }
    }

    @Test("everything that grows has a bound, and is kept up to it", arguments: Backend.allCases)
    func retention(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            func count(_ sql: StaticSQL) async throws -> Int64 { try await lab.run(sql)[0].integer(0) }
            // The feed: rows as 10,500 changes would leave them.
            try await lab.run(
                """
                INSERT INTO apus.change (version, topic, key, digest, at)
                WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 10500)
                SELECT v, 'x', 'y', (SELECT digest FROM apus.feed_head), 0 FROM n
                """)
            try await lab.run("UPDATE apus.feed_head SET version = 10500")
            for subject in ["old", "older"] {
                try await catalog.records.add(.event, subject: subject, summary: "s", deadline: lab.deadline)
            }
            let (key, _) = try await catalog.keys.create(name: "k", role: .reader, deadline: lab.deadline)
            _ = try await catalog.keys.create(name: "kept", role: .reader, deadline: lab.deadline)
            _ = try await catalog.keys.revoke(id: key.id, deadline: lab.deadline)
            _ = try await catalog.nodes.register(
                NodeRegistration(name: "generated", url: "x", hasGeneratedName: true), status: .left, deadline: lab.deadline)
            _ = try await catalog.nodes.register(NodeRegistration(name: "named", url: "x"), status: .left, deadline: lab.deadline)
            try await catalog.retention.sweep(deadline: lab.deadline)
            let version = try await count("SELECT version FROM apus.feed_head")
            #expect(try await count("SELECT count(*) FROM apus.change") == ChangeFeed.kept)
            #expect(try await count("SELECT MIN(version) FROM apus.change") == version - ChangeFeed.kept + 1)
            #expect(try await count("SELECT count(*) FROM apus.record") == 2)
            #expect(try await count("SELECT count(*) FROM apus.node") == 2)
            #expect(try await count("SELECT count(*) FROM apus.api_key") == 2)

            try await lab.run("UPDATE apus.clock_offset SET milliseconds = 2678400000")
            try await catalog.records.add(.decision, subject: "new", summary: "s", inputs: #"{"a":1}"#, deadline: lab.deadline)
            try await catalog.retention.sweep(deadline: lab.deadline)
            #expect(try await catalog.records.list(deadline: lab.deadline).map(\.subject) == ["new"])
            #expect(try await catalog.records.list(subject: "new", deadline: lab.deadline).map(\.inputs) == [#"{"a":1}"#])
            #expect(try await catalog.nodes.list(deadline: lab.deadline).map(\.name) == ["named"])
            #expect(try await catalog.keys.list(deadline: lab.deadline).map(\.name) == ["kept"])
        }
    }

    /// Tables that the collector of objects keeps small (`ObjectIntents.release`, `ObjectCollector`), or another table's rule.
    private static let keptByOthers: [String: String] = [
        "deleted_shard": "a row goes with the last of its log, by the rule for shard_log of deleted collections",
        "object_intent": "consumed by the append that it announces; the collector takes the abandoned ones",
        "dropped_object": "the collector takes them when every node has passed them and the retention is over",
        "stored_object": "the collector deletes what neither a row nor an intent names",
        "stored_block": "goes with its stored_object",
    ]

    /// Tables that stay as they are however long and however much a cluster is used.
    private static let doesNotGrow: [String: String] = [
        "clock_offset": "one row",
        "cluster": "one row",
        "feed_head": "one row",
        "counter": "one row for each sequence that the program has",
        "migration": "one row for each migration that the program has",
        "format": "one row for each format that the program has",
        "setting": "one row for each setting that the program has",
        "lease": "one row for each duty that the program has",
        "operation_period": "one row for each origin of operation ids",
        "collection": "what users keep: it goes when they delete it",
        "deleted_head": "goes with its deleted collection",
        "shard_manifest": "one for each shard, and goes with it",
        "segment": "few for each shard: they are merged",
        "model": "what administrators keep: it goes when they remove it",
        "shard": "goes with its collection",
        "replica": "one row for each node that serves a shard; goes with its collection",
        "shard_head": "one row for each shard; goes with its collection",
        "alias": "what users keep, up to 10,000; goes with its collection",
        "collection_settings": "one row for each collection; goes with it",
        "payload_index": "what users keep, up to 1,000 of a collection; goes with it",
        "snapshot": "what users keep, up to 100 of a collection; goes with it",
        "data_source": "what administrators keep: it goes when they delete it",
        "catalog_source": "what administrators keep: it goes when they delete it",
        "data_source_catalog": "goes with its data source or catalog source",
        "query_role": "what administrators keep: it goes when they delete it",
        "role_permission": "what administrators keep; goes with its role",
        "managed_key": "what administrators keep: it goes when they delete it",
        "object_storage": "what administrators keep: it goes when they delete it",
        "query_state": "one row",
        "served_version": "the last 100 and what they serve: older ones are deleted with each new one",
        "served_change": "goes with its version",
        "served_source": "one for each source of a version that is kept",
    ]

    @Test("every table has a rule that bounds it, or a reason why it needs none", arguments: Backend.allCases)
    func complete(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            _ = try await lab.open()
            let rows =
                switch backend {
                case .sqlite:
                    try await lab.run("SELECT name FROM apus.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
                case .postgreSQL:
                    // Partitions are one table with what they are partitions of.
                    try await lab.run(
                        """
                        SELECT relname::text FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
                        WHERE nspname = 'apus' AND relkind IN ('r', 'p') AND NOT relispartition
                        """)
                }
            let tables = Set(try rows.map { try $0.text(0) })
            #expect(tables.count > 15)
            // A rule says first whose rows it removes.
            let rules = Retention.rules + [Retention.deletedCollections(keptFor: .zero)]
            let ruled = Set(rules.compactMap { $0.rows.split(separator: " ").first.map(String.init) })
            let explained = Set(Self.keptByOthers.keys).union(Self.doesNotGrow.keys)
            #expect(tables.subtracting(ruled).subtracting(explained) == [], "a table that nobody has decided about")
            #expect(ruled.union(explained).subtracting(tables) == [], "there is no such table")
            #expect(ruled.intersection(explained) == [] && Set(Self.keptByOthers.keys).isDisjoint(with: Self.doesNotGrow.keys))
        }
    }
}
