import ApusDatabase
import ApusTypes
import Testing

@testable import ApusCatalog

@Suite("definitions of the query service")
struct QueryDefinitionTests {
    private static func source(_ name: String, _ definition: String = "{}", secret: String? = nil) -> ServedSource {
        ServedSource(name: name, definition: definition, files: "[]", secret: secret)
    }

    @Test(
        "rows of every table are inserted, read, changed and deleted, each change with one entry in the feed", arguments: Backend.allCases)
    func rows(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let definitions = catalog.definitions
            let rows: [QueryTable: JSONObject] = [
                .dataSources: [
                    "name": "s", "type": "postgres", "prefix": "s", "as_module": true, "path": "postgres://h/d", "disabled": false,
                    "self_defined": true, "read_only": false, "description": "it's \"s\" — \n", "secret": "sealed",
                ],
                .catalogSources: ["name": "c", "type": "text", "path": "type t @table(name: \"t\") { id: Int! @pk }"],
                .catalogs: ["data_source_name": "s", "catalog_name": "c"],
                .objectStorages: ["name": "o", "type": "s3", "scope": "s3://b", "parameters": ["region": "eu", "use_ssl": true]],
                .roles: ["name": "r", "disabled": false, "can_impersonate": true],
                .permissions: [
                    "role": "r", "type_name": "data-object:query", "field_name": "t", "hidden": false, "disabled": false,
                    "filter": ["id": ["in": [1, 2]]],
                ],
                .keys: [
                    "name": "k", "digest": "d", "key": "shown", "default_role": "r", "disabled": false, "is_temporal": true,
                    "expires_at": "2030-01-02T03:04:05+00:00", "claims": ["role": "r", "n": 1],
                ],
            ]
            #expect(rows.count == QueryTable.all.count)
            for table in QueryTable.all {
                let row = try #require(rows[table])
                let before = try await catalog.feed.head(deadline: lab.deadline)
                #expect(try await definitions.change(deadline: lab.deadline) { try await $0.insert(row, into: table) })
                let changes = try await catalog.feed.read(from: before, deadline: lab.deadline)
                #expect(changes.map(\.topic) == [table.grantsAccess ? .queryAccess : .queryDefinition])
                // A second of its key is refused and changes nothing.
                #expect(try await !definitions.change(deadline: lab.deadline) { try await $0.insert(row, into: table) })
                #expect(try await catalog.feed.head(deadline: lab.deadline).version == before.version + 1)
                let key = table.key.map { row[$0]?.asString ?? "" }
                let found = try #require(try await definitions.change(deadline: lab.deadline) { try await $0.row(key, of: table) })
                for (name, value) in row { #expect(found[name] == value, "\(table.name).\(name)") }
                #expect(try await definitions.rows(of: table, deadline: lab.deadline).contains(found))
            }
            // Roles, permissions and keys are what somebody may do.
            #expect(try await definitions.versions(deadline: lab.deadline) == QueryVersions(schema: 0, access: 3))
            #expect(
                try await definitions.change(deadline: lab.deadline) {
                    try await $0.update(["s"], to: ["path": "postgres://h/e", "description": nil], in: .dataSources)
                })
            let changed = try await definitions.rows(of: .dataSources, deadline: lab.deadline)
            #expect(
                changed.map { $0["path"] } == ["postgres://h/e"] && changed[0]["description"] == .null && changed[0]["secret"] == "sealed")
            #expect(
                try await !definitions.change(deadline: lab.deadline) { try await $0.update(["x"], to: ["path": "p"], in: .dataSources) })
            // What refers to a row goes with it.
            try await definitions.change(deadline: lab.deadline) { change in
                let deleted = [
                    try await change.delete(["c"], from: .catalogSources), try await change.delete(["r"], from: .roles),
                    try await change.delete(["r"], from: .roles),
                ]
                #expect(deleted == [true, true, false])
            }
            let rest = try await definitions.rows(of: [.catalogs, .permissions, .roles], deadline: lab.deadline)
            #expect(rest.rows[.catalogs] == [] && rest.rows[.permissions]?.count == 1 && rest.versions.access == 4)
            #expect(rest.rows[.roles]?.map { $0["name"] } == ["admin", "public", "readonly"])
        }
    }

    @Test("a change that throws leaves nothing", arguments: Backend.allCases)
    func undone(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let refused = try await apusError {
                try await catalog.definitions.change(deadline: lab.deadline) { change in
                    _ = try await change.insert(["name": "r", "disabled": false, "can_impersonate": false], into: .roles)
                    throw ApusError(.requestInvalid, "no")
                }
            }
            #expect(refused.code == .requestInvalid)
            #expect(try await catalog.definitions.versions(deadline: lab.deadline).access == 0)
            #expect(try await catalog.definitions.rows(of: .roles, deadline: lab.deadline).count == 3)
            #expect(try await catalog.feed.head(deadline: lab.deadline).version == 0)
        }
    }

    @Test(
        "each version of what is served follows the one it was made for, and can be gone back to without secrets",
        arguments: Backend.allCases)
    func versions(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let served = catalog.served
            func change(_ changes: [String: ServedSource?], after version: Int64) async throws -> Int64 {
                try await served.change(changes, after: version, summary: "v\(version + 1)", deadline: lab.deadline)
            }
            #expect(try await change(["a": Self.source("a", "1", secret: "s1"), "b": Self.source("b", "1")], after: 0) == 1)
            try await lab.withAnother { other in
                let late = try await apusError {
                    _ = try await other.served.change(["c": Self.source("c")], after: 0, summary: "late", deadline: lab.deadline)
                }
                #expect(late.code == .schemaMovedOn)
                #expect(try await other.served.current(deadline: lab.deadline).sources.map(\.secret) == ["s1", nil])
            }
            #expect(try await change(["a": Self.source("a", "2", secret: "s2")], after: 1) == 2)
            #expect(try await change(["a": nil, "c": Self.source("c", "3")], after: 2) == 3)
            #expect(try await change(["b": Self.source("b", "4")], after: 3) == 4)
            func at(_ version: Int64) async throws -> [String] {
                try await served.sources(at: version, deadline: lab.deadline).map { $0.name + $0.definition }
            }
            #expect(try await at(0) == [])
            #expect(try await at(1) == ["a1", "b1"])
            #expect(try await at(2) == ["a2", "b1"])
            #expect(try await at(3) == ["b1", "c3"])
            #expect(try await at(4) == ["b4", "c3"])
            #expect(try await served.sources(at: 2, deadline: lab.deadline).allSatisfy { $0.secret == nil })
            #expect(try await apusError { _ = try await at(5) }.code == .schemaVersionUnknown)
            #expect(try await served.history(deadline: lab.deadline).map(\.summary) == ["v4", "v3", "v2", "v1"])
            // Secrets that are not served any more are nowhere.
            #expect(try await served.secrets(deadline: lab.deadline) == [])
            let topics = try await catalog.feed.read(
                from: FeedPosition(incarnation: catalog.incarnation, version: 0, digest: .origin), deadline: lab.deadline)
            #expect(topics.map { $0.topic.rawValue + $0.key } == ["query_schema1", "query_schema2", "query_schema3", "query_schema4"])
        }
    }

    @Test("a data source that is deleted is not served any more, in the same transaction", arguments: Backend.allCases)
    func deletedSource(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let row: JSONObject = [
                "name": "s", "type": "sqlite", "prefix": "", "as_module": true, "path": "p", "disabled": false, "self_defined": false,
                "read_only": false, "secret": "v1.x",
            ]
            _ = try await catalog.definitions.change(deadline: lab.deadline) { try await $0.insert(row, into: .dataSources) }
            _ = try await catalog.served.change(
                ["s": Self.source("s", secret: "v1.x")], after: 0, summary: "loaded", deadline: lab.deadline)
            #expect(try await catalog.served.secrets(deadline: lab.deadline) == ["v1.x"])
            _ = try await catalog.definitions.change(deadline: lab.deadline) { try await $0.delete(["s"], from: .dataSources) }
            let rest = try await catalog.served.current(deadline: lab.deadline)
            #expect(rest.versions == QueryVersions(schema: 2, access: 0) && rest.sources.isEmpty)
            #expect(try await catalog.served.secrets(deadline: lab.deadline) == [])
            #expect(try await catalog.served.sources(at: 1, deadline: lab.deadline).map(\.name) == ["s"])
        }
    }

    @Test("old versions are forgotten, and asking for one says which are kept", arguments: Backend.allCases)
    func trimmed(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            for version in 0..<ServedSources.kept + 3 {
                _ = try await catalog.served.change(
                    ["a": Self.source("a", "\(version + 1)")], after: version, summary: "", deadline: lab.deadline)
            }
            #expect(try await catalog.served.history(limit: 1000, deadline: lab.deadline).count == Int(ServedSources.kept))
            #expect(try await catalog.served.sources(at: 3, deadline: lab.deadline).map(\.definition) == ["3"])
            let gone = try await apusError { _ = try await catalog.served.sources(at: 2, deadline: lab.deadline) }
            #expect(gone.code == .schemaVersionUnknown && gone.hint?.contains("versions 3 to 103") == true)
        }
    }

    @Test("secrets are sealed anew everywhere at once, or nowhere", arguments: Backend.allCases)
    func resealed(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let old = try #require(SecretRing([Redacted("the old key of the cluster")]))
            let both = try #require(SecretRing([Redacted("the new key of the cluster"), Redacted("the old key of the cluster")]))
            let secret = old.seal(Redacted("pass"), for: "data_source s")
            let row: JSONObject = [
                "name": "s", "type": "sqlite", "prefix": "", "as_module": true, "path": "p", "disabled": false, "self_defined": false,
                "read_only": false, "secret": .string(secret),
            ]
            _ = try await catalog.definitions.change(deadline: lab.deadline) { try await $0.insert(row, into: .dataSources) }
            _ = try await catalog.served.change(
                ["s": Self.source("s", secret: secret)], after: 0, summary: "", deadline: lab.deadline)
            #expect(try await catalog.served.reseal(deadline: lab.deadline) { try both.resealed($0) } == 2)
            #expect(try await catalog.served.reseal(deadline: lab.deadline) { try both.resealed($0) } == 0)
            for sealed in try await catalog.served.secrets(deadline: lab.deadline) {
                #expect(try SecretRing.keyID(of: sealed) == both.keyIDs[0])
                #expect(try both.open(sealed, for: "data_source s").reveal() == "pass")
                #expect(throws: ApusError.self) { try old.open(sealed, for: "data_source s") }
            }
            #expect(try await catalog.definitions.versions(deadline: lab.deadline).schema == 1)
        }
    }
}
