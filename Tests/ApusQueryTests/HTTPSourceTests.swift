import ApusGraphQL
import ApusHTTP
import ApusRuntime
import ApusSchemas
import ApusTypes
import HTTPTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusQuery

/// Sources over HTTP against a real server.
@Suite("sources over HTTP")
struct HTTPSourceTests {
    /// What a service was asked: the request line, and header fields that were asked about.
    final class Seen: Sendable {
        private let all = Mutex<[String]>([])
        var lines: [String] { all.withLock { $0 } }
        func add(_ line: String) { all.withLock { $0.append(line) } }
    }

    static let schema = """
        type person { id: Int! name: String size: Float @field_source(field: "height") friends: [person] raw: JSON since: Date }
        extend type Function {
          person(id: String!): person @function(name: "p", sql: "http_data_source_request_scalar([$catalog], '/people/' || [id], 'GET')")
          search(q: String, page: Int = 1, tags: [String!]): JSON @function(
            name: "s", sql: "http_data_source_request_scalar([$catalog], '/search?v=2', 'get', {'X-Who': [$auth.user_id], 'X-Q': [q]}::JSON, {q: [q], page: [page], tag: [tags]}::JSON, '{}'::JSON, '')::JSON"
          )
          fail(how: String!): JSON @function(name: "f", sql: "http_data_source_request_scalar([$catalog], '/fail/' || [how], 'GET')")
          echo(name: String!, note: String, deep: JSON): JSON @function(
            name: "e", sql: "http_data_source_request_scalar([$catalog], '/echo', 'POST', '{}'::JSON, '{}'::JSON, {name: [name], note: [note], deep: [deep], fixed: [1, 'it''s', true]}::JSON)"
          )
        }
        extend type MutationFunction {
          remove(id: Int!): JSON @function(name: "d", sql: "http_data_source_request_scalar([$catalog], '/people/' || [id], 'DELETE')")
          change: JSON @function(name: "c", sql: "http_data_source_request_scalar([$catalog], '/fail/moved', 'POST', null, null, '{\\"a\\":1}'::JSON)")
        }
        """

    static func definition(_ port: Int, _ query: String = "", path: String = "/api") -> SourceDefinition {
        var definition = SourceDefinition("rest", kind: .http, path: "http://127.0.0.1:\(port)\(path)\(query)")
        definition.files = [SchemaFile(name: "rest", text: schema)]
        return definition
    }

    static func routes(_ router: inout Router, _ seen: Seen) {
        @Sendable func line(_ request: Request, _ more: String = "") -> String {
            let fields = ["Authorization", "X-Key", "Cookie", "X-Who"].compactMap { name in request.headers[name].map { " \(name)=\($0)" } }
            let query = PercentEncoding.query(request.query.items)
            return request.method.rawValue + " " + request.rawPath + " " + query + fields.joined() + more
        }
        router.on(.get, "/api/people/{id}") { request in
            seen.add(line(request))
            let id = request.parameters["id"] ?? ""
            return .json(
                Array(
                    #"{"id": "\#(id)", "name": 7, "height": "1.75", "friends": [{"id": 2, "name": null}], "raw": {"a": [1]}, "since": "2026-01-02", "more": 1}"#
                        .utf8))
        }
        router.on(.delete, "/api/people/{id}") { request in
            seen.add(line(request))
            return Response(status: 204)
        }
        router.on(.get, "/api/search") { request in
            seen.add(line(request))
            return .json(Array("[1,2]".utf8))
        }
        router.on(.post, "/api/echo") { request in
            seen.add(line(request))
            return .json(try await request.body.collect(limit: .mebibytes(1)))
        }
        router.on(.get, "/api/plain") { request in
            seen.add(line(request))
            return .text("plain")
        }
        for method in [Method.get, .post] {
            router.on(method, "/api/fail/{how}") { request in
                seen.add(line(request))
                switch request.parameters["how"] {
                case "missing": return .json(Array(#"{"message":"there is no such thing"}"#.utf8), status: 404)
                case "busy": return Response(status: 503)
                case "text": return Response(type: "text/html", bytes: Array("<p>".utf8))
                case "broken": return .json(Array("{".utf8))
                case "image": return Response(type: "image/png", bytes: [1])
                case "large":
                    return .json(Array((String(repeating: "[", count: 0) + "\"" + String(repeating: "x", count: 2 << 20) + "\"").utf8))
                case "moved": return Response(status: 302, headers: ["Location": "../plain"])
                case "loop": return Response(status: 302, headers: ["Location": "/api/fail/loop"])
                case "metadata": return Response(status: 302, headers: ["Location": "http://169.254.169.254/latest/meta-data/"])
                case "slow":
                    try await BootClock().sleep(for: .seconds(30))
                    return .text("late")
                default: return .json(Array("null".utf8))
                }
            }
        }
    }

    static func with(
        _ query: String = "", options: SourceOpener.Options = SourceOpener.Options(), _ body: (SourceLab, Seen, Int) async throws -> Void
    ) async throws {
        let seen = Seen()
        try await TestServer.with(routes: { routes(&$0, seen) }) { server in
            try await SourceLab.with([definition(server.port, query)], options: options) { try await body($0, seen, server.port) }
        }
    }

    @Test("arguments go into path, parameters, headers and body, and the reply has the form of its type")
    func requests() async throws {
        try await Self.with { lab, seen, _ in
            #expect(
                await lab.answer("{ function { person(id: \"5\") { kind: __typename size name id friends { name id } raw since } } }")
                    == #"{"data":{"function":{"person":{"kind":"person","size":1.75,"name":"7","id":5,"friends":[{"name":null,"id":2}],"raw":{"a":[1]},"since":"2026-01-02"}}}}"#
            )
            #expect(
                await lab.answer(
                    "query($q: String) { function { search(q: $q, tags: [\"x&y\", \"z\"]) } }", ["q": "a b/ü"],
                    identity: ["auth.user_id": "u7"]) == #"{"data":{"function":{"search":[1,2]}}}"#)
            #expect(await lab.answer("{ function { search } }") == #"{"data":{"function":{"search":[1,2]}}}"#)
            #expect(
                await lab.answer("{ function { echo(name: \"n\\\"\", deep: {a: {b: null}}) } }")
                    == #"{"data":{"function":{"echo":{"name":"n\"","deep":{"a":{"b":null}},"fixed":[1,"it's",true]}}}}"#)
            #expect(await lab.answer("mutation { function { remove(id: 3) } }") == #"{"data":{"function":{"remove":null}}}"#)
            #expect(
                seen.lines == [
                    "GET /api/people/5 ", "GET /api/search v=2&q=a%20b%2F%C3%BC&page=1&tag=x%26y&tag=z X-Who=u7",
                    "GET /api/search v=2&page=1", "POST /api/echo ", "DELETE /api/people/3 ",
                ])
        }
    }

    @Test("a value of a client is one part of a path, whatever is in it")
    func paths() async throws {
        try await Self.with { lab, seen, _ in
            for hostile in ["../secret", "a/b", "x?y=1", "%2e%2e", "1#z", "a\\b"] {
                _ = await lab.answer("query($id: String!) { function { person(id: $id) { id } } }", ["id": .string(hostile)])
            }
            #expect(
                seen.lines.allSatisfy { $0.hasPrefix("GET /api/people/") && $0.hasSuffix(" ") && $0.split(separator: "/").count == 4 },
                "\(seen.lines)")
            #expect(seen.lines.count == 6)
            for hostile in ["", ".", ".."] {
                let answer = await lab.answer("query($id: String!) { function { person(id: $id) { id } } }", ["id": .string(hostile)])
                #expect(answer.contains(#""code":"request.invalid""#) && answer.contains(#"argument \"id\""#), "\(answer)")
            }
            #expect(seen.lines.count == 6)
        }
    }

    @Test("what goes wrong is told with the source, the request and what the server said")
    func failures() async throws {
        var options = SourceOpener.Options()
        options.httpReply = .mebibytes(1)
        try await Self.with(options: options) { lab, seen, _ in
            func failure(_ how: String) async -> String { await lab.answer("{ function { fail(how: \"\(how)\") } }") }
            #expect(
                await failure("missing")
                    == #"{"errors":[{"message":"data source \"rest\" answered 404 to GET /api/fail/missing: there is no such thing","path":["function","fail"],"extensions":{"code":"source.rejected"}}]}"#
            )
            #expect(await failure("busy").contains(#""code":"source.unavailable""#))
            #expect(await failure("broken").contains("with what is no JSON"))
            #expect(await failure("image").contains("image/png, which is neither JSON nor text"))
            #expect(await failure("text") == #"{"data":{"function":{"fail":"<p>"}}}"#)
            #expect(await failure("large").contains("answered with more than"))
            #expect(await failure("none") == #"{"data":{"function":{"fail":null}}}"#)
            #expect(await lab.answer("{ function { person(id: \"x\") { id } } }").contains(#"gave a value for \"id\" that is no Int"#))
        }
    }

    @Test("redirects are followed a few times, never to a metadata service, and nothing that changes something is sent again")
    func redirects() async throws {
        try await Self.with { lab, seen, _ in
            #expect(await lab.answer("{ function { fail(how: \"moved\") } }") == #"{"data":{"function":{"fail":"plain"}}}"#)
            #expect(await lab.answer("{ function { fail(how: \"loop\") } }").contains("redirects more than 5 times"))
            #expect(seen.lines.filter { $0.contains("loop") }.count == 6)
            let metadata = await lab.answer("{ function { fail(how: \"metadata\") } }")
            #expect(
                metadata.contains("169.254.169.254 is a link-local address") && metadata.contains("query.allow_link_local"), "\(metadata)")
            #expect(await lab.answer("mutation { function { change } }").contains("redirects a POST, which is not sent again"))
        }
    }

    @Test(
        "a link-local address is not asked, however it is written",
        arguments: ["169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]"])
    func linkLocal(host: String) async throws {
        var definition = Self.definition(1)
        definition.path = "http://\(host)/api"
        try await SourceLab.with([definition]) { lab in
            let answer = await lab.answer("{ function { person(id: \"1\") { id } } }")
            #expect(answer.contains("is a link-local address or that of a metadata service"), "\(answer)")
        }
    }

    @Test("a server that does not answer in time holds a request no longer than its deadline, and one that is away is named")
    func away() async throws {
        try await Self.with { lab, _, _ in
            var request = QueryRequest(
                Array("{ function { fail(how: \"slow\") } }".utf8), deadline: BootClock.now.advanced(by: .milliseconds(200)))
            request.operationName = nil
            let reply = await lab.service.answer(request)
            #expect(reply.errors.first?.message == "data source \"rest\" did not answer in time")
        }
        let port = Int(try freePort())
        try await SourceLab.with([Self.definition(port)]) { lab in
            #expect(
                await lab.answer("{ function { person(id: \"1\") { id } } }").contains(
                    #"data source \"rest\" cannot be asked: the connection failed"#))
        }
    }

    // MARK: Security

    private static func security(_ json: String) -> String { "?x-hugr-security=\(PercentEncoding.encoded(json))&fixed=1" }

    @Test("keys, passwords and tokens go where the security says, and to no other server")
    func security() async throws {
        for (json, expected) in [
            (#"{"type":"apiKey","in":"header","name":"X-Key","api_key":"k1"}"#, "GET /api/search v=2&fixed=1&page=1 X-Key=k1"),
            (#"{"type":"apiKey","in":"query","name":"key","api_key":"k 1"}"#, "GET /api/search v=2&fixed=1&page=1&key=k%201"),
            (#"{"type":"apiKey","in":"cookie","name":"sid","api_key":"k1"}"#, "GET /api/search v=2&fixed=1&page=1 Cookie=sid=k1"),
            (
                #"{"type":"http","scheme":"basic","username":"ann","password":"p:w"}"#,
                "GET /api/search v=2&fixed=1&page=1 Authorization=Basic YW5uOnA6dw=="
            ),
            (#"{"type":"http","scheme":"bearer","token":"t"}"#, "GET /api/search v=2&fixed=1&page=1 Authorization=Bearer t"),
        ] {
            try await Self.with(Self.security(json)) { lab, seen, _ in
                #expect(await lab.answer("{ function { search } }") == #"{"data":{"function":{"search":[1,2]}}}"#)
                #expect(seen.lines == [expected])
            }
        }
        // In the URL itself, and not beyond a redirect to somebody else.
        let (first, other) = (Seen(), Seen())
        try await TestServer.with(routes: { Self.routes(&$0, other) }) { second in
            try await TestServer.with(routes: { router in
                router.on(.get, "/api/fail/{how}") { request in
                    first.add(request.headers["Authorization"] ?? "")
                    return Response(status: 307, headers: ["Location": "http://127.0.0.1:\(second.port)/api/plain"])
                }
            }) { server in
                var definition = Self.definition(server.port)
                definition.path = "http://ann:[$PASSWORD]@127.0.0.1:\(server.port)/api"
                try await SourceLab.with([definition], environment: ["PASSWORD": "p%3Aw"]) { lab in
                    #expect(await lab.answer("{ function { fail(how: \"x\") } }") == #"{"data":{"function":{"fail":"plain"}}}"#)
                }
                #expect(first.lines == ["Basic YW5uOnA6dw=="])
                #expect(other.lines == ["GET /api/plain "])
            }
        }
    }

    @Test("a security that lacks something names the field, and one that there is not says which there are")
    func wrongSecurity() async throws {
        for (json, part) in [
            (#"{"type":"apiKey","name":"k"}"#, "lacks \"api_key\""), (#"{"type":"http","scheme":"digest"}"#, "scheme \"digest\""),
            (#"{"type":"magic"}"#, "type \"magic\""), ("{", "no JSON object"),
            (#"{"type":"oauth2","client_id":"a","client_secret":"b"}"#, "lacks \"flows.clientCredentials.tokenUrl\""),
            (#"{"type":"oauth2","flow_name":"authorization_code"}"#, "flow_name \"authorization_code\""),
        ] {
            let error = await #expect(throws: ApusError.self) {
                try await SourceLab.with([Self.definition(1, Self.security(json))]) { _ in }
            }
            #expect(error?.summary.contains(part) == true, "\(error?.summary ?? "")")
            #expect(error?.code == .requestInvalid)
        }
    }

    @Test("a token of OAuth 2 is asked for once, kept for its time, and asked for anew when the server does not take it any more")
    func oauth() async throws {
        let seen = Seen()
        let accepted = Mutex("t1")
        try await TestServer.with(routes: { router in
            router.on(.post, "/token") { request in
                let form = String(decoding: try await request.body.collect(limit: .kibibytes(4)), as: UTF8.self)
                seen.add("token \(form) \(request.headers["Authorization"] ?? "")")
                return .json(Array(#"{"access_token":"\#(accepted.withLock { $0 })","expires_in":3600,"token_type":"bearer"}"#.utf8))
            }
            router.on(.get, "/api/search") { request in
                guard request.headers["Authorization"] == "Bearer \(accepted.withLock { $0 })" else { return Response(status: 401) }
                seen.add("search")
                return .json(Array("1".utf8))
            }
        }) { server in
            let json =
                #"{"type":"oauth2","flow_name":"client_credentials","client_id":"id","client_secret":"s:1","flows":{"clientCredentials":{"tokenUrl":"/token","scopes":{"read":"","write":""}}}}"#
            try await SourceLab.with([Self.definition(server.port, Self.security(json))]) { lab in
                // Side by side: they wait for one token.
                let answer = await lab.answer("{ function { a: search b: search c: search } }")
                #expect(answer == #"{"data":{"function":{"a":1,"b":1,"c":1}}}"#)
                let asked = "token grant_type=client_credentials&scope=read%20write Basic aWQ6cyUzQTE="
                #expect(seen.lines.sorted() == ["search", "search", "search", asked])
                accepted.withLock { $0 = "t2" }
                #expect(await lab.answer("{ function { search } }") == #"{"data":{"function":{"search":1}}}"#)
                #expect(seen.lines.filter { $0 == asked }.count == 2)
            }
        }
    }
}
