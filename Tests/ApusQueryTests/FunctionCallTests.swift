import ApusDatabase
import ApusHTTP
import ApusRuntime
import ApusSchemas
import ApusTypes
import HTTPTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusQuery

/// Functions of one source called for rows of another.
@Suite("functions called for rows")
struct FunctionCallTests {
    private struct State {
        var calls: [String] = []
        var now = 0
        var most = 0
    }

    private static let items = """
        type items @table(name: "items") { id: Int! @pk name: String price: Float kind: Int at: DateTime parent: Int @field_references(references_name: "items", field: "id", query: "above", references_query: "below") }
        """
    private static let rest = """
        type info { text: String! kind: Int }
        extend type Function {
          info(name: String!, kind: Int, lang: String = "en", who: String @arg_default(value: "[$auth.user_id]")): info @function(
            name: "i", sql: "http_data_source_request_scalar([$catalog], '/info', 'GET', null, {name: [name], kind: [kind], lang: [lang], who: [who]})")
          all(name: String): [info] @function(name: "a", sql: "http_data_source_request_scalar([$catalog], '/all', 'GET')")
        }
        """
    private static let bridge = """
        extend type items @dependency(name: "local") @dependency(name: "rest") {
          info(lang: String): info @function_call(references_name: "info", args: {name: "name", kind: "kind"})
          all: [info] @function_call(references_name: "all", args: {})
          twice: Int @function_call(references_name: "twice", args: {n: "id"}, module: "other")
        }
        """

    private static func with(_ rows: [StaticSQL], _ body: (SourceLab, borrowing Mutex<State>) async throws -> Void) async throws {
        let state = SharedState()
        let directory = try TemporaryDirectory()
        try await TestServer.with(routes: { router in
            router.on(.get, "/info") { request in
                let items = request.query.items.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
                state.value.withLock {
                    $0.calls.append(items)
                    $0.now += 1
                    $0.most = max($0.most, $0.now)
                }
                defer { state.value.withLock { $0.now -= 1 } }
                try await BootClock().sleep(for: .milliseconds(5))
                if request.query["name"] == "bad" { return .json(Array(#"{"kind":"many","text":"x"}"#.utf8)) }
                if request.query["name"] == "none" { return .json(Array(#"{"kind":1}"#.utf8)) }
                return .json(Array(#"{"text":"\#(items)","kind":\#(request.query["kind"] ?? "null")}"#.utf8))
            }
            router.on(.get, "/all") { _ in
                state.value.withLock { $0.calls.append("all") }
                return .json(Array(#"[{"text":"a"},{"text":"b"}]"#.utf8))
            }
        }) { server in
            let local = try await SourceLab.sqlite(
                "local", in: directory,
                ["CREATE TABLE items (id integer PRIMARY KEY, name text, price real, kind integer, at text, parent integer)"] + rows,
                schema: items)
            var rest = SourceDefinition("rest", kind: .http, path: "http://127.0.0.1:\(server.port)")
            rest.files = [SchemaFile(name: "rest", text: Self.rest)]
            var other = try await SourceLab.sqlite(
                "other", in: directory, ["CREATE TABLE t (id integer)"],
                schema: """
                    extend type Function { twice(n: Int!): Int @function(name: "twice", sql: "([n] * 2)") @module(name: "other") }
                    """)
            other.prefix = "other"
            var bridge = SourceDefinition("bridge", kind: .extension, path: "")
            bridge.files = [SchemaFile(name: "bridge", text: Self.bridge)]
            try await SourceLab.with([local, rest, other, bridge]) { try await body($0, state.value) }
        }
        withExtendedLifetime(directory) {}
    }

    private final class SharedState: Sendable {
        let value = Mutex(State())
    }

    @Test("a function is called once for each different set of values, and a row with a null among them gets null")
    func batches() async throws {
        try await Self.with([
            "INSERT INTO items VALUES (1, 'a', 1, 1, NULL, NULL), (2, 'b', 1, 2, NULL, 1), (3, 'a', 1, 1, NULL, 1), (4, 'a', 1, NULL, NULL, 1)"
        ]) { lab, state in
            let answer = await lab.answer(
                "{ items(order_by: [{field: \"id\"}]) { id info(lang: \"de\") { kind t: text } below(order_by: [{field: \"id\"}]) { id info { kind } } } }",
                identity: ["auth.user_id": "u1"])
            #expect(
                answer
                    == #"{"data":{"items":[{"id":1,"info":{"kind":1,"t":"name=a kind=1 lang=de who=u1"},"below":[{"id":2,"info":{"kind":2}},{"id":3,"info":{"kind":1}},{"id":4,"info":null}]},{"id":2,"info":{"kind":2,"t":"name=b kind=2 lang=de who=u1"},"below":null},{"id":3,"info":{"kind":1,"t":"name=a kind=1 lang=de who=u1"},"below":null},{"id":4,"info":null,"below":null}]}}"#
            )
            #expect(
                state.withLock { $0.calls.sorted() } == [
                    "name=a kind=1 lang=de who=u1", "name=a kind=1 who=u1", "name=b kind=2 lang=de who=u1", "name=b kind=2 who=u1",
                ])
            // Somebody else's identity, with a plan that is known.
            _ = await lab.answer("{ items(limit: 1) { info { kind } } }", identity: ["auth.user_id": "u1"])
            _ = await lab.answer("{ items(limit: 1) { info { kind } } }", identity: ["auth.user_id": "u2"])
            #expect(state.withLock { $0.calls.suffix(2) } == ["name=a kind=1 who=u1", "name=a kind=1 who=u2"])
        }
    }

    @Test("without values of rows it is called once; of a source with SQL, in one statement")
    func others() async throws {
        try await Self.with(["INSERT INTO items VALUES (1, 'a', 1, 1, NULL, NULL), (2, 'b', 1, 2, NULL, 1)"]) { lab, state in
            #expect(
                await lab.answer("{ items(order_by: [{field: \"id\"}]) { id all { text } twice } }")
                    == #"{"data":{"items":[{"id":1,"all":[{"text":"a"},{"text":"b"}],"twice":2},{"id":2,"all":[{"text":"a"},{"text":"b"}],"twice":4}]}}"#
            )
            #expect(state.withLock { $0.calls } == ["all"])
        }
    }

    @Test("so many calls are under way at a time, and more rows than may be are refused before the first")
    func bounds() async throws {
        try await Self.with([
            "INSERT INTO items WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) SELECT i, 'n' || i, 1, i, NULL, NULL FROM n"
        ]) { lab, state in
            let answer = await lab.answer("{ items(limit: 100) { info { kind } } }")
            #expect(answer.hasPrefix(#"{"data":{"items":[{"info":{"kind":1}}"#))
            let (count, most) = state.withLock { ($0.calls.count, $0.most) }
            #expect(count == 100)
            #expect(most <= 8 && most > 1)
            #expect(
                await lab.answer("{ items(limit: 1001) { info { kind } } }").contains(
                    "calls a function for 1001 rows, and 1000 are the limit"))
            #expect(state.withLock { $0.calls.count } == 100)
        }
    }

    @Test("a value of another type, or none where one is promised, is an error that says where")
    func types() async throws {
        try await Self.with(["INSERT INTO items VALUES (1, 'bad', 1, 1, NULL, NULL), (2, 'none', 1, 1, NULL, NULL)"]) { lab, _ in
            let bad = await lab.answer("{ items(filter: {id: {eq: 1}}) { info { kind } } }")
            #expect(bad.contains(#"function \"info\" gave a value for \"kind\" that is no Int"#), "\(bad)")
            let none = await lab.answer("{ items(filter: {id: {eq: 2}}) { info { t: text } } }")
            #expect(none.contains(#"function \"info\" gave a value for \"t\" that is no value, which its type promises"#), "\(none)")
        }
    }
}
