import ApusDatabase
import ApusGraphQL
import ApusQueryPlan
import ApusRuntime
import ApusSchemas
import ApusTypes
import Synchronization
import TestKit
import Testing

@testable import ApusQuery

/// Requests against sources of the test's own.
@Suite("requests")
struct RequestTests {
    /// Answers each statement with one row of one value, when it is let.
    private final class Held: SQLSource {
        let name = "held"
        let engine = SQLEngine.sqlite
        private let state = Mutex<(asked: Int, isOpen: Bool, failure: ApusError?)>((0, false, nil))

        var asked: Int { state.withLock { $0.asked } }
        func open() { state.withLock { $0.isOpen = true } }
        func fail(_ error: ApusError) { state.withLock { $0.failure = error } }

        func read(_ statement: SourceStatement, deadline: Instant) async throws -> SourceRows {
            state.withLock { $0.asked += 1 }
            while !state.withLock({ $0.isOpen }) { try await BootClock().sleep(for: .milliseconds(1)) }
            if let failure = state.withLock({ $0.failure }) { throw failure }
            return .values(Rows(columns: ["v"], rows: [Row([.integer(7)])]))
        }

        func transaction<Value: Sendable>(
            deadline: Instant, _ body: (any SourceTransaction) async throws -> Value
        ) async throws -> Value { throw ApusError(.sourceRejected, "it is only read") }

        func close() async {}
    }

    private static func schema(_ version: UInt64, _ field: String, _ source: Held?, why: String? = nil) throws -> ServedSchema {
        let description = SourceDescription(name: "held", kind: .database(.sqlite))
        let file = SchemaFile(name: "held", text: "type things @table(name: \"things\") { id: Int! @pk \(field): Int }")
        let output = SchemaCompiler().compile([.init(description, files: [file])])
        return ServedSchema(
            version: version, api: output.api, sources: source.map { ["held": $0] } ?? [:], suspended: why.map { ["held": $0] } ?? [:])
    }

    private static func request(_ text: String, _ variables: JSONObject = [:]) -> QueryRequest {
        var request = QueryRequest(Array(text.utf8), deadline: BootClock.now.advanced(by: .seconds(30)))
        request.variables = variables
        return request
    }

    @Test("times are told where they are asked for, at the field's place")
    func stats() async throws {
        let source = Held()
        source.open()
        let service = QueryService(schemas: SchemaHolder(try Self.schema(1, "v", source)), loops: 1)
        func extensions(_ text: String) async throws -> JSONValue? {
            try JSONValue(parsing: await service.answer(Self.request(text)).json())["extensions"]
        }
        #expect(try await extensions("{ things { v } }") == nil)
        let field = try await extensions("{ a: things @stats { v } things { v } }")
        #expect(field?.asObject?.keys == ["a"])
        let stats = field?["a"]?["stats"]
        #expect(stats?["name"] == "things")
        for time in ["planning_time", "exec_time", "node_time"] {
            #expect(stats?[time]?.asString?.wholeMatch(of: /[0-9]+(\.[0-9]+)?(ns|µs|ms|s)/) != nil, "\(String(describing: stats))")
        }
        let whole = try await extensions("query Named @stats { a: things @stats { v } }")
        #expect(whole?.asObject?.keys == ["children", "stats"])
        #expect(whole?["stats"]?["name"] == "Named" && whole?["stats"]?["total_time"] != nil)
        #expect(whole?["children"]?["a"]?["stats"]?["name"] == "things")
        #expect(
            [Duration.nanoseconds(7), .nanoseconds(212_791), .nanoseconds(1_968_750), .milliseconds(21_600)].map(\.words)
                == ["7ns", "212.791µs", "1.96875ms", "21.6s"])
    }

    @Test("a request ends on the schema that it began with")
    func inFlight() async throws {
        let source = Held()
        let holder = SchemaHolder(try Self.schema(1, "old", source))
        let service = QueryService(schemas: holder, loops: 1)
        let begun = Task { await service.answer(Self.request("{ things { old } }")) }
        while source.asked == 0 { try await BootClock().sleep(for: .milliseconds(1)) }
        #expect(holder.serve(try Self.schema(2, "new", source)))
        #expect(!holder.serve(try Self.schema(1, "old", source)), "an older schema takes no newer one's place")
        source.open()
        #expect(String(decoding: await begun.value.json(), as: UTF8.self) == #"{"data":{"things":[{"old":7}]}}"#)
        let later = await service.answer(Self.request("{ things { old } }"))
        #expect(later.outcome == .refused)
        #expect(String(decoding: await service.answer(Self.request("{ things { new } }")).json(), as: UTF8.self).contains(#""new":7"#))
    }

    @Test("what a source cannot do is told with the path and a code, and nothing else of the operation is")
    func failures() async throws {
        let source = Held()
        source.open()
        let service = QueryService(schemas: SchemaHolder(try Self.schema(1, "v", source)), loops: 1)
        source.fail(ApusError(.sourceUnavailable, "it is away"))
        let reply = await service.answer(Self.request("{ a: things { v } __typename }"))
        #expect(reply.outcome == .failed)
        #expect(
            String(decoding: reply.json(), as: UTF8.self)
                == #"{"errors":[{"message":"it is away","path":["a"],"extensions":{"code":"source.unavailable"}}]}"#)
        #expect(String(decoding: reply.json(tellsNull: true), as: UTF8.self).hasSuffix(#""data":null}"#))
        let missing = QueryService(schemas: SchemaHolder(try Self.schema(1, "v", nil, why: "its password is wrong")), loops: 1)
        let told = await missing.answer(Self.request("{ things { v } }"))
        #expect(told.errors.first?.message == "data source \"held\" cannot answer: its password is wrong")
    }

    @Test("what is told of the schema follows the variables, also of an operation that was asked before")
    func introspection() async throws {
        let service = QueryService(schemas: SchemaHolder(try Self.schema(1, "v", Held())), loops: 1)
        for text in ["query($n: String!) { __type(name: $n) { name } }", "query($n: String!) { __type\n(name: $n) { name } }"] {
            for name in ["things", "Query", "things"] {
                let reply = await service.answer(Self.request(text, ["n": .string(name)]))
                #expect(String(decoding: reply.json(), as: UTF8.self) == #"{"data":{"__type":{"name":"\#(name)"}}}"#)
            }
        }
    }

    @Test("mutations are refused where there may be none, whatever the text looks like")
    func noMutations() async throws {
        let service = QueryService(schemas: SchemaHolder(try Self.schema(1, "v", Held())), loops: 1)
        for text in ["mutation { __typename }", "query A { __typename } mutation B { __typename }"] {
            var request = Self.request(text)
            request.operationName = text.contains("B") ? "B" : nil
            #expect(await service.answer(request).outcome == .answered)
            for mutations in [QueryRequest.Mutations.notHere, .forbidden] {
                request.mutations = mutations
                #expect(await service.answer(request).outcome == .forbidden)
            }
        }
        var query = Self.request("query mutation { __typename }")
        query.mutations = .notHere
        #expect(await service.answer(query).outcome == .answered)
    }

    @Test("an operation that is only validated asks nobody")
    func validation() async throws {
        let source = Held()
        let service = QueryService(schemas: SchemaHolder(try Self.schema(1, "v", source)), loops: 1)
        var request = Self.request("{ things { v } }")
        request.onlyValidates = true
        #expect(await service.answer(request).outcome == .answered)
        request.text = Array("{ things { w } }".utf8)
        #expect(await service.answer(request).outcome == .refused)
        #expect(source.asked == 0)
    }

    @Test("what took long is listed with how often and how long, and without values")
    func slow() async throws {
        let source = Held()
        source.open()
        func answered(_ threshold: Duration) async throws -> (SlowStatements, MetricsRegistry) {
            let metrics = MetricsRegistry()
            let slow = SlowStatements(threshold: threshold, metrics: metrics)
            let service = QueryService(schemas: SchemaHolder(try Self.schema(1, "v", source)), loops: 1, slow: slow)
            for id in [4711, 4712] {
                let text = "query($id: Int!) { mine: things(filter: {id: {eq: $id}}) { v } }"
                #expect(await service.answer(Self.request(text, ["id": .integer(Int64(id))])).outcome == .answered)
            }
            return (slow, metrics)
        }
        let (slow, metrics) = try await answered(.zero)
        let listed = try #require(slow.document.asArray?.first)
        #expect(slow.document.asArray?.count == 1)
        #expect(listed["source"] == "held" && listed["field"] == "mine" && listed["count"] == 2)
        let sql = try #require(listed["sql"]?.asString)
        #expect(sql.hasPrefix("SELECT") && !sql.contains("471"))
        let (total, longest) = (try #require(listed["seconds"]?.asDouble), try #require(listed["longest_seconds"]?.asDouble))
        #expect(longest > 0 && total >= longest && total <= 2 * longest)
        #expect(String(decoding: metrics.text(), as: UTF8.self).contains(#"apus_query_slow_statements_total{source="held"} 2"#))
        slow.clear()
        #expect(slow.document == [])
        #expect(try await answered(.seconds(60)).0.document == [])
    }

    @Test("a node that serves no schema yet says so")
    func noSchema() async {
        let reply = await QueryService(schemas: SchemaHolder(), loops: 1).answer(Self.request("{ __typename }"))
        #expect(reply.outcome == .refused)
        #expect(reply.errors.first?.message == "this node serves no schema yet")
    }
}
