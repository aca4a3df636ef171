import ApusGraphQL
import ApusTypes
import Synchronization
import Testing

@testable import ApusQueryPlan
@testable import ApusSchemas

@Suite("running plans")
struct RunnerTests {
    /// Runs a plan with the same rows for every statement; tells the reply, and the paths of the calls that came together.
    static func run(
        _ text: String, rows: [TextRow], limits: PlanLimits = PlanLimits()
    ) async throws -> (data: String, calls: [[String]]) {
        let plan = try Store.plan(text, over: try Store.api(), limits: limits)
        let seen = Mutex<[[String]]>([])
        let reply = try await PlanRunner(plan, limits: limits).reply { calls in
            seen.withLock { $0.append(calls.map { $0.statement.path.joined(separator: ".") }) }
            for call in calls { for row in rows { call.rows.add(row) } }
        }
        return (String(decoding: reply.data, as: UTF8.self), seen.withLock { $0 })
    }

    @Test("statements that do not depend on each other come together, mutations one by one")
    func together() async throws {
        let read = try await Self.run("{ pg_store { a: products { id } b: tags { id } } local_db { events { id } } }", rows: [["1"]])
        #expect(read.calls == [["pg_store.a", "pg_store.b", "local_db.events"]])
        #expect(read.data == #"{"pg_store":{"a":[{"id":1}],"b":[{"id":1}]},"local_db":{"events":[{"id":1}]}}"#)
        let written = try await Self.run(
            "mutation { pg_store { a: delete_tags(filter: {id: {eq: 1}}) { affected_rows } b: delete_tags(filter: {id: {eq: 2}}) { success } } }",
            rows: [["1"]])
        #expect(written.calls == [["pg_store.a"], ["pg_store.b"]])
    }

    @Test("nothing is run where nothing is asked of a source")
    func nothing() async throws {
        let answer = try await Self.run("{ __typename }", rows: [])
        #expect(answer.calls.isEmpty)
        #expect(answer.data == #"{"__typename":"Query"}"#)
    }

    @Test("what exceeds a limit is an error with the field, the limit and what to do")
    func limits() async throws {
        for change: (inout PlanLimits) -> Void in [{ $0.rows = 2 }, { $0.replyBytes = 20 }, { $0.parameterBytes = 1 }] {
            var limits = PlanLimits()
            change(&limits)
            let text = "{ pg_store { rows: products(filter: {name: {eq: \"name\"}}, limit: 5) { id } } }"
            let error = await #expect(throws: GraphQLError.self) {
                try await Self.run(text, rows: [["1"], ["2"], ["3"]], limits: limits)
            }
            #expect(error?.message.hasPrefix("\"pg_store.rows\" ") == true && error?.message.contains("limit") == true)
            #expect(error?.path == [.key("pg_store"), .key("rows")])
        }
    }

    @Test("rows of a batch that name no key are refused")
    func foreignKeys() async throws {
        let text = "{ pg_store { categories { id products { id } products_bucket_aggregation { key { id } } } } }"
        for number in ["-1", "x", ""] {
            let plan = try Store.plan(text, over: try Store.api())
            await #expect(throws: GraphQLError.self, "\(number)") {
                _ = try await PlanRunner(plan).reply { calls in
                    for call in calls {
                        let width = call.statement.program.columnCount
                        call.rows.add(
                            call.statement.keyCount > 0 ? Array(repeating: number, count: width) : Array(repeating: "1", count: width))
                    }
                }
            }
        }
    }
}
