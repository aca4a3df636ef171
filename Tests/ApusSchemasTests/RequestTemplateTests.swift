import ApusTypes
import Testing

@testable import ApusSchemas

@Suite("requests of functions over HTTP")
struct RequestTemplateTests {
    typealias Expression = RequestTemplate.Expression

    private static func read(_ text: String) throws(RequestTemplate.Problem) -> RequestTemplate {
        try RequestTemplate(text, arguments: ["id", "name"])
    }

    @Test("what Hugr's users write is read")
    func reads() throws {
        let request = try Self.read(
            """
             http_data_source_request_scalar(
                [$catalog], '/a/' || [id] || '/b', 'post', {'X-A': 'it''s', b: [$auth.user_id]}::JSON,
                {q: [name], n: -1.5e3, "t": true, l: [[id], 2, []], e: {}}::JSON, '{"a": [1, null]}'::JSON, '.[0]')::JSON;
            """)
        #expect(request.method == "POST")
        #expect(request.path == .text([.value("/a/"), .argument("id"), .value("/b")]))
        #expect(
            request.headers
                == .parsed(.object([.init(name: "X-A", value: .value("it's")), .init(name: "b", value: .placeholder("auth.user_id"))])))
        #expect(
            request.parameters
                == .parsed(
                    .object([
                        .init(name: "q", value: .argument("name")), .init(name: "n", value: .value(-1500.0)),
                        .init(name: "t", value: .value(true)),
                        .init(name: "l", value: .list([.argument("id"), .value(2), .list([])])), .init(name: "e", value: .object([])),
                    ])))
        #expect(request.body == .value(["a": [1, nil]]))
        #expect(request.program == ".[0]")
        let short = try Self.read("http_data_source_request('[$catalog]', [$id]::VARCHAR, 'GET')")
        #expect(short.path == .text([.argument("id")]) && short.body == .value(.null) && short.program.isEmpty)
    }

    @Test(
        "what cannot be a request is refused with its place",
        arguments: [
            ("", "a source over HTTP calls requests"), ("now()", "calls nothing but"),
            ("http_data_source_request_scalar()", "has 0 arguments"),
            ("http_data_source_request_scalar('other', '/', 'GET')", "[$catalog]"),
            ("http_data_source_request_scalar([$catalog], '/', 'TRACE')", "GET"),
            ("http_data_source_request_scalar([$catalog], '/', [name])", "GET"),
            ("http_data_source_request_scalar([$catalog], [nothing], 'GET')", "names [nothing], which is no argument"),
            ("http_data_source_request_scalar([$catalog], '/' , 'GET'", "lacks a \")\""),
            ("http_data_source_request_scalar([$catalog], '/", "does not end"),
            ("http_data_source_request_scalar([$catalog], '/', 'GET') x", "behind the call"),
            ("http_data_source_request_scalar([$catalog], '/', 'GET', 'x'::JSON)", "no JSON"),
            ("http_data_source_request_scalar([$catalog], '/', 'GET', 'x')", "headers must be an object"),
            ("http_data_source_request_scalar([$catalog], '/', 'GET', {}, {}, {}, [name])", "jq program must be a text"),
            ("http_data_source_request_scalar([$catalog], (SELECT 1), 'GET')", "cannot be read"),
            ("http_data_source_request_scalar([$catalog], " + String(repeating: "(", count: 50), "nested deeper"),
            ("http_data_source_request_scalar([$catalog], '/', 'GET', {: 1})", "without a name"),
        ])
    func refuses(text: String, part: String) {
        let problem = #expect(throws: RequestTemplate.Problem.self) { try Self.read(text) }
        #expect(problem?.what.contains(part) == true, "\(problem?.what ?? "")")
    }

    @Test("a source over HTTP with a function that is no request is refused, with the function")
    func schema() {
        let error = #expect(throws: SchemaProblems.self) {
            try SchemaReader.read(
                [SchemaFile(name: "r", text: "extend type Function { f(a: Int): JSON @function(name: \"f\") }")],
                of: SourceDescription(name: "r", kind: .http))
        }
        #expect(error?.description.contains("Function.f: a source over HTTP calls requests") == true)
    }
}
