import ApusHTTP
import ApusRuntime
import ApusTypes
import NodeProcessKit
import Testing

/// Programs of jq through a real node, whose workers are processes of the program itself.
@Suite("jq over HTTP")
struct JQQueryTests {
    @Test("the answer is what the program makes of the whole reply; what is wrong is 400 and a text")
    func transforms() async throws {
        try await AuditTests.withNode { node in
            func answer(_ body: String) async throws -> String {
                let answer = try await AuditTests().exchange(node, .post, "/jq-query", body: body)
                return "\(answer.status) \(answer.text)"
            }
            let query =
                #""query":{"query":"query($n: Int) { notes(order_by: [{field: \"id\"}], filter: {id: {gte: $n}}) { id text } }","variables":{"n":1}}"#
            #expect(try await answer(#"{"jq":".data.notes | map(.text)",\#(query)}"#) == #"200 ["one","two"]"#)
            #expect(try await answer(#"{"jq":".data.notes[$n].id",\#(query)}"#) == "200 2")
            let unknown = try await answer(#"{"jq":".errors[0].message","query":{"query":"{ nothing }"}}"#)
            #expect(unknown == #"200 "Cannot query field \"nothing\" on type \"Query\".""#)
            let wrong = try await answer(#"{"jq":".[",\#(query)}"#)
            #expect(wrong.hasPrefix("400 the jq program cannot be compiled: "))
            #expect(try await answer(#"{\#(query)}"#) == "400 \"jq\" is missing: the program, a text\n")
            #expect(try await answer(#"{"jq":"."}"#).hasPrefix("400"))
            #expect(try await answer("{").hasPrefix("400"))
            let inside = try await AuditTests().exchange(
                node, .post, "/query", body: #"{"query":"{ jq(query: \".notes | length\") { notes { id } } }"}"#)
            #expect(inside.text == #"{"data":{"jq":null},"extensions":{"jq":{"jq":2}}}"#)
        }
    }
}
