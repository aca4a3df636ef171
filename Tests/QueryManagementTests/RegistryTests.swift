import ApusCatalog
import ApusQuery
import ApusRuntime
import ApusSchemas
import ApusTypes
import Synchronization
import TestKit
import Testing

@Suite("the schema registry")
struct RegistryTests {
    static func table(_ name: String, _ fields: String = "id: Int! @pk") -> String {
        "type \(name) @table(name: \"\(name)\") { \(fields) }"
    }

    @Test(
        "a source that is loaded is served by every node when the call returns, and by none before or after it is unloaded",
        arguments: Backend.allCases)
    func load(backend: Backend) async throws {
        try await RegistryLab.with(backend, nodes: 3) { lab in
            let node = lab.nodes[0]
            try await node.define("a", Self.table("users", "id: Int! @pk name: String"))
            #expect(lab.nodes.allSatisfy { $0.fields(of: "a_users") == nil })
            let loaded = try await node.registry.load("a", deadline: lab.deadline)
            #expect(loaded == SchemaChange(version: 1))
            for node in lab.nodes {
                #expect(node.fields(of: "a_users") == ["id", "name", "_join"])
                #expect(node.sources == ["a"])
                #expect(node.registry.standing.version == 1 && !node.registry.standing.isBehind)
            }
            // Loading again takes what is written now.
            try await node.define("a", Self.table("users", "id: Int! @pk"))
            #expect(node.fields(of: "a_users") == ["id", "name", "_join"])
            #expect(try await lab.nodes[1].registry.load("a", deadline: lab.deadline).version == 2)
            #expect(lab.nodes.allSatisfy { $0.fields(of: "a_users") == ["id", "_join"] })
            // The same source, not opened again.
            #expect(node.opened.paths.withLock { $0 } == ["p"])
            #expect(try await lab.nodes[2].registry.unload("a", deadline: lab.deadline) == SchemaChange(version: 3))
            #expect(lab.nodes.allSatisfy { $0.fields(of: "a_users") == nil })
            let gone = try await apusError { _ = try await node.registry.unload("a", deadline: lab.deadline) }
            #expect(gone.code == .sourceUnknown)
            let unknown = try await apusError { _ = try await node.registry.load("b", deadline: lab.deadline) }
            #expect(unknown.code == .sourceUnknown)
            try await eventually("the source is closed on every node") {
                lab.nodes.allSatisfy { $0.opened.closed.withLock { $0 } == ["p"] }
            }
        }
    }

    @Test("what does not fit is refused with its place, changes nothing, and everything else goes on")
    func misfits() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            try await node.define("a", Self.table("users"))
            try await node.define("b", "type broken @table(name: \"x\") {\n  id: Nothing\n}")
            try await node.define("c", "type unfinished {")
            try await node.define("a_users", Self.table("t"))
            _ = try await node.registry.load("a", deadline: lab.deadline)
            let broken = try await apusError { _ = try await node.registry.load("b", deadline: lab.deadline) }
            #expect(broken.code == .schemaInvalid)
            #expect(broken.summary.hasPrefix("compile catalog \"b\": catalog schema is invalid: b:2:7: [VALIDATE/"), "\(broken.summary)")
            let unfinished = try await apusError { _ = try await node.registry.load("c", deadline: lab.deadline) }
            #expect(
                unfinished.summary.hasPrefix("compile catalog \"c\": catalog schema is invalid: c:2:1: [VALIDATE/Syntax]"),
                "\(unfinished.summary)")
            // The name of a type of the system.
            try await node.define("d", "type t @table(name: \"t\") { id: Int! @pk }\ntype u @table(name: \"u\") { t: [t] }")
            #expect(try await apusError { _ = try await node.registry.load("d", deadline: lab.deadline) }.code == .schemaInvalid)
            #expect(try await node.catalog.served.current(deadline: lab.deadline).versions.schema == 1)
            #expect(node.fields(of: "a_users") != nil && node.registry.standing.suspended.isEmpty)
        }
    }

    @Test("a source that one node cannot open is suspended there with its reason, tried again, and stops nobody")
    func suspended() async throws {
        try await RegistryLab.with(.postgreSQL, nodes: 2) { lab in
            let (healthy, weak) = (lab.nodes[0], lab.nodes[1])
            _ = weak.opened.broken.withLock { $0.insert("p") }
            try await healthy.define("a", Self.table("users"))
            try await healthy.define("b", Self.table("orders"), path: "q")
            #expect(try await healthy.registry.load("a", deadline: lab.deadline).missing.isEmpty)
            _ = try await healthy.registry.load("b", deadline: lab.deadline)
            #expect(weak.registry.standing.suspended == ["a": "a is broken here"])
            #expect(weak.sources == ["b"])
            // The schema is the same on both: only its data cannot be reached.
            #expect(weak.fields(of: "a_users") == healthy.fields(of: "a_users") && weak.fields(of: "b_orders") != nil)
            #expect(weak.health.problems.contains { $0.component == "data_sources" && $0.summary.contains("a is broken here") })
            #expect(weak.health.readiness(for: [.read]).problems.allSatisfy { $0.blocks.isEmpty })
            #expect(await healthy.registry.standings(deadline: lab.deadline)["n2"]??.suspended == ["a": "a is broken here"])
            #expect(healthy.registry.standing.suspended.isEmpty)
            _ = weak.opened.broken.withLock { $0.remove("p") }
            try await eventually("it is served again") { weak.registry.standing.suspended.isEmpty }
            #expect(weak.sources == ["a", "b"])
            try await eventually("and said to be") { !weak.health.problems.contains { $0.component == "data_sources" } }
        }
    }

    @Test("a node that cannot make a version keeps the one before and says so, and a rollback helps it")
    func behind() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            try await node.define("a", Self.table("users"))
            _ = try await node.registry.load("a", deadline: lab.deadline)
            // A defect of this program's, which shows when a source of this name is there.
            let flaw = "extend type s_t @dependency(name: \"s\") { gone: [nothing] }"
            node.registry.add([
                BuiltInSource(
                    SchemaCompiler.Input(
                        SourceDescription(name: "core.flaw", kind: .extension), files: [SchemaFile(name: "flaw", text: flaw)]),
                    source: try #require(try node.opened.open(SourceDefinition("core.flaw", kind: .extension, path: ""))))
            ])
            let stranger = Self.served("s", Self.table("t"))
            #expect(try await node.catalog.served.change(["s": stranger], after: 1, summary: "", deadline: lab.deadline) == 2)
            try await eventually("it is behind") { node.registry.standing.behindSince != nil }
            let standing = node.registry.standing
            #expect(standing.version == 1 && standing.newest == 2 && standing.isBehind && standing.reason != nil)
            #expect(node.fields(of: "a_users") != nil)
            #expect(node.health.problems.contains { $0.code == .schemaBehind && $0.blocks.isEmpty })
            let soon = node.registry.standing
            #expect(soon.behindSince == standing.behindSince)
            let late = try await apusError { try await node.registry.require(2, deadline: BootClock.now.advanced(by: .milliseconds(50))) }
            #expect(late.code == .schemaBehind && late.summary.contains("version 1"))
            #expect(try await node.registry.rollBack(to: 1, deadline: lab.deadline) == SchemaChange(version: 3))
            #expect(!node.registry.standing.isBehind && node.registry.standing.version == 3)
            #expect(!node.health.problems.contains { $0.code == .schemaBehind })
        }
    }

    static func served(_ name: String, _ text: String, prefix: String? = nil) -> ServedSource {
        ServedSource(
            name: name, definition: #"{"type":"sqlite","path":"p","prefix":"\#(prefix ?? name)"}"#,
            files: JSONValue.array([["name": .string(name), "text": .string(text)]]).description)
    }

    @Test(
        "of two sources that do not fit together the later one is suspended, on every node, until the other goes",
        arguments: Backend.allCases)
    func misfitServed(backend: Backend) async throws {
        try await RegistryLab.with(backend, nodes: 2) { lab in
            let registry = lab.nodes[0].registry
            let served = lab.nodes[0].catalog.served
            // The type a_users_filter: of the one it is a table, of the other what its table is filtered by.
            try await lab.nodes[0].define("a", Self.table("users"))
            try await lab.nodes[0].define("a_users", Self.table("filter"))
            _ = try await registry.load("a", deadline: lab.deadline)
            let reason = #"the type a_users_filter is made of a_users of data source "a" already; rename one of them, or give one"#
            for onlyTried in [true, false] {
                let refused = try await apusError { _ = try await registry.load("a_users", onlyTried: onlyTried, deadline: lab.deadline) }
                #expect(refused.code == .schemaInvalid && refused.summary.contains(reason), "\(refused)")
            }
            // As a program without this check might serve it.
            func serve(_ source: ServedSource) async throws -> Int64 {
                let now = try await served.current(deadline: lab.deadline).versions.schema
                let version = try await served.change([source.name: source], after: now, summary: "", deadline: lab.deadline)
                for node in lab.nodes { try await node.registry.require(version, deadline: lab.deadline) }
                return version
            }
            func sieve(_ text: String) -> ServedSource { Self.served("b", text, prefix: "a_users") }
            #expect(try await serve(sieve(Self.table("filter"))) == 2)
            for node in lab.nodes {
                let standing = node.registry.standing
                #expect(Array(standing.suspended.keys) == ["b"] && standing.suspended["b"]?.contains(reason) == true)
                #expect(!standing.isBehind && node.sources == ["a"] && node.fields(of: "a_users_filter")?.contains("id") != true)
            }
            try await lab.nodes[0].define("c", Self.table("others"))
            #expect(try await registry.load("c", deadline: lab.deadline).missing.isEmpty, "others go on")
            let tried = try await registry.unload("a", onlyTried: true, deadline: lab.deadline).difference
            #expect(tried.contains("! data source b would be served again") && tried.contains("- type a_users"), "\(tried)")
            _ = try await registry.unload("a", deadline: lab.deadline)
            for node in lab.nodes {
                #expect(node.registry.standing.suspended.isEmpty && node.sources == ["b", "c"])
                #expect(node.fields(of: "a_users_filter") == ["id", "_join"])
            }
            // It is the earlier one now, and stays that when it is changed.
            _ = try await serve(sieve(Self.table("filter", "id: Int! @pk more: Int")))
            _ = try await serve(Self.served("a", Self.table("users")))
            for node in lab.nodes {
                #expect(Array(node.registry.standing.suspended.keys) == ["a"] && node.sources == ["b", "c"])
                #expect(
                    node.registry.standing.suspended["a"]?.contains(
                        #"the type a_users_filter of a_users is made of a_users_filter of data source "b" already"#) == true)
            }
            // A change of the earlier one that makes room.
            _ = try await serve(sieve(Self.table("other")))
            for node in lab.nodes { #expect(node.registry.standing.suspended.isEmpty && node.sources == ["a", "b", "c"]) }
        }
    }

    @Test("a change that is only tried tells what would be, and does nothing; a version that was there comes back")
    func triedAndRolledBack() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            let registry = node.registry
            try await node.define("a", Self.table("users", "id: Int! @pk name: String"))
            let tried = try await registry.load("a", onlyTried: true, deadline: lab.deadline)
            #expect(tried.version == 0 && tried.difference.contains("+ type a_users"))
            #expect(node.fields(of: "a_users") == nil)
            #expect(try await node.catalog.feed.head(deadline: lab.deadline).version == 1)
            _ = try await registry.load("a", deadline: lab.deadline)
            try await node.define("a", Self.table("users", "id: BigInt! @pk age: Int"))
            let next = try await registry.load("a", onlyTried: true, deadline: lab.deadline).difference
            #expect(next.contains("+ a_users.age: Int") && next.contains("- a_users.name: String"))
            #expect(next.contains("~ a_users.id: Int! -> : BigInt!"))
            _ = try await registry.load("a", deadline: lab.deadline)
            try await node.define("b", Self.table("orders"))
            _ = try await registry.load("b", deadline: lab.deadline)
            #expect(try await registry.rollBack(to: 1, onlyTried: true, deadline: lab.deadline).difference.contains("- type b_orders"))
            #expect(node.fields(of: "b_orders") != nil)
            #expect(try await registry.rollBack(to: 1, deadline: lab.deadline).version == 4)
            #expect(node.fields(of: "b_orders") == nil && node.fields(of: "a_users") == ["id", "name", "_join"])
            // Nothing to be changed is no version.
            #expect(try await registry.rollBack(to: 4, deadline: lab.deadline).version == 4)
            #expect(try await registry.rollBack(to: 3, deadline: lab.deadline).version == 5)
            #expect(node.fields(of: "b_orders") != nil && node.fields(of: "a_users")?.contains("age") == true)
        }
    }

    @Test("changes at the same moment on several nodes are all served", arguments: Backend.allCases)
    func concurrent(backend: Backend) async throws {
        try await RegistryLab.with(backend, nodes: 2) { lab in
            for number in 0..<8 { try await lab.nodes[0].define("s\(number)", Self.table("t")) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask { _ = try await lab.nodes[number % 2].registry.load("s\(number)", deadline: lab.deadline) }
                }
                try await group.waitForAll()
            }
            for node in lab.nodes {
                try await node.registry.require(8, deadline: lab.deadline)
                #expect(node.sources == (0..<8).map { "s\($0)" })
            }
        }
    }

    @Test("nodes that do not serve a change in time are named, and it is done nevertheless")
    func unreachable() async throws {
        try await RegistryLab.with(.postgreSQL, nodes: 2) { lab in
            _ = lab.nodes[1].network.unreachable.withLock { $0.insert("n2") }
            try await lab.nodes[0].define("a", Self.table("users"))
            let change = try await lab.nodes[0].registry.load("a", deadline: lab.deadline)
            #expect(change.missing == ["n2": "it does not answer"])
            // It follows the catalog all the same.
            try await lab.nodes[1].registry.require(1, deadline: lab.deadline)
        }
    }

    @Test("what an extension adds goes with the source that it needs, and comes back with it")
    func extensions() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            try await node.define("a", Self.table("users"))
            try await node.define("b", Self.table("orders", "id: Int! @pk user_id: Int"))
            try await node.define(
                "x",
                """
                extend type a_users @dependency(name: "a") @dependency(name: "b") {
                  orders: [b_orders] @join(references_name: "b_orders", source_fields: ["id"], references_fields: ["user_id"])
                }
                extend type b_orders @dependency(name: "b") {
                  same: [b_orders] @join(references_name: "b_orders", source_fields: ["id"], references_fields: ["id"])
                }
                """, type: "extension", path: "")
            for name in ["a", "b", "x"] { _ = try await node.registry.load(name, deadline: lab.deadline) }
            #expect(node.fields(of: "a_users")?.contains("orders") == true)
            _ = try await node.registry.unload("a", deadline: lab.deadline)
            #expect(node.fields(of: "a_users") == nil && node.fields(of: "b_orders")?.contains("same") == true)
            _ = try await node.registry.load("a", deadline: lab.deadline)
            #expect(node.fields(of: "a_users")?.contains("orders") == true)
            #expect(node.registry.standing.suspended.isEmpty)
        }
    }

    @Test("a source is opened with its password, which is nowhere else; without the key it is suspended, and says which is missing")
    func secrets() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            let ring = try #require(SecretRing([Redacted("a key of this laboratory")]))
            let sealed = ring.seal(Redacted(#"{"password":"hush"}"#), for: "data_source a")
            try await node.define("a", Self.table("users"), type: "postgres", path: "postgres://u@h/d", secret: sealed)
            _ = try await node.registry.load("a", deadline: lab.deadline)
            #expect(node.opened.paths.withLock { $0 } == ["postgres://u:hush@h/d"])
            let served = try await node.catalog.served.current(deadline: lab.deadline)
            #expect(!"\(served)".contains("hush") && !"\(node.registry.standing)".contains("hush"))
            node.setKeys(["another key of the laboratory"])
            try await node.define("b", Self.table("orders"))
            _ = try await node.registry.load("b", deadline: lab.deadline)
            let reason = try #require(node.registry.standing.suspended["a"])
            #expect(reason.contains(ring.keyIDs[0]))
            #expect(node.sources == ["b"])
        }
    }
}

/// The error that `body` throws; a failure if it throws none, or one of another type.
func apusError(_ body: () async throws -> Void) async throws -> ApusError {
    do { try await body() } catch let error as ApusError { return error }
    throw TestKitError("an error was expected, and there was none")
}
