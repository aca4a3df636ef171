import ApusHTTP
import ApusRuntime
import ApusTypes
import NodeProcessKit
import TestKit
import Testing

/// A real node, asked over HTTP.
@Suite("GraphQL over HTTP")
struct AuditTests {
    /// A node with one source that needs no database server.
    static func withNode(_ body: (NodeProcess) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        try await SourceFiles.sqlite(in: directory.path)
        let node = try await NodeProcess.start(
            directory: directory.path + "/data", arguments: ["--config", directory.path + "/apus.yml"], loops: TestLoops.shared)
        try await body(node)
        try await node.stopCleanly()
    }

    @Test("the audit of servers passes: every MUST, SHOULD and MAY")
    func audits() async throws {
        #expect(Set(Audit.all.map(\.id)).count == Audit.all.count)
        try await Self.withNode { node in
            for audit in Audit.all {
                let answer = try await send(audit, to: node)
                for expectation in audit.expected {
                    let holds = Self.holds(expectation, answer)
                    #expect(holds, "\(audit.level.rawValue) \(audit.id): \(answer.status) \(answer.type) \(answer.text)")
                }
            }
        }
    }

    @Test("a GET does not change anything, and says which method does")
    func getMutation() async throws {
        try await Self.withNode { node in
            let mutation = "mutation { insert_notes(data: {id: 9, text: \"x\"}) { id } }"
            let refused = try await exchange(node, .get, "/query?query=" + percentEncoded(mutation))
            #expect(refused.status == 405)
            #expect(refused.headers["Allow"] == "POST")
            let count = try await exchange(node, .post, "/query", body: #"{"query":"{ notes_aggregation { _rows_count } }"}"#)
            #expect(count.text == #"{"data":{"notes_aggregation":{"_rows_count":2}}}"#)
            let changed = try await exchange(node, .post, "/query", type: "application/graphql", body: mutation)
            #expect(changed.text == #"{"data":{"insert_notes":{"id":9}}}"#)
        }
    }

    @Test("bodies of other types, of other character sets and too large ones are refused; so is who accepts nothing that there is")
    func refusals() async throws {
        try await Self.withNode { node in
            for (type, status) in [("text/plain", 415), ("application/json; charset=utf-16", 415), ("multipart/form-data", 415)] {
                let answer = try await exchange(node, .post, "/query", type: type, body: #"{"query":"{ __typename }"}"#)
                #expect(answer.status == status, "\(type)")
            }
            let large = #"{"query":"{ __typename }","variables":{"a":""# + String(repeating: "x", count: 9 << 20) + #""}}"#
            #expect(try await exchange(node, .post, "/query", body: large).status == 413)
            #expect(try await exchange(node, .post, "/query", accept: "text/html", body: #"{"query":"{ __typename }"}"#).status == 406)
            // Older clients are told of what is no JSON by the status.
            #expect(try await exchange(node, .post, "/query", body: "{").status == 400)
        }
    }

    @Test("without a credential there is no answer, and with a wrong one neither, unless anonymous access is configured")
    func credentials() async throws {
        try await Self.withNode { node in
            // Who comes through a proxy is nobody of this machine.
            for headers: Headers in [["X-Forwarded-For": "192.0.2.1"], ["X-Hugr-Api-Key": "wrong"], ["Authorization": "Bearer wrong"]] {
                let answer = try await exchange(
                    node, .post, "/query", headers: headers, body: #"{"query":"{ __typename }"}"#, isKnown: false)
                #expect(answer.status == 401)
                #expect(answer.text == "unauthorized\n")
            }
            let known = try await exchange(
                node, .post, "/query", headers: ["X-Hugr-Api-Key": node.key], body: #"{"query":"{ __typename }"}"#, isKnown: false)
            #expect(known.status == 200)
            #expect(try await exchange(node, .get, "/auth/config", isKnown: false).status == 200)
        }
    }

    // MARK: Asking

    struct Answer {
        var status: Int
        var type: String
        var headers: Headers
        var bytes: [UInt8]
        var text: String { String(decoding: bytes, as: UTF8.self) }
        /// Nil where it is no JSON.
        var value: JSONValue? { try? JSONValue(parsing: bytes) }
    }

    private func send(_ audit: Audit, to node: NodeProcess) async throws -> Answer {
        let query = audit.query.map { "\($0)=\(percentEncoded($1))" }.joined(separator: "&")
        return try await exchange(
            node, audit.isGet ? .get : .post, "/query" + (query.isEmpty ? "" : "?" + query), type: audit.isGet ? nil : audit.type,
            accept: audit.accept, body: audit.body)
    }

    func exchange(
        _ node: NodeProcess, _ method: Method, _ path: String, type: String? = "application/json", accept: String? = nil,
        headers: Headers = [:], body: String? = nil, isKnown: Bool = true
    ) async throws -> Answer {
        var headers = headers
        if isKnown { headers["X-API-Key"] = node.key }
        if method == .post { headers["Content-Type"] = type }
        headers["Accept"] = accept
        let client = HTTPClient(loops: TestLoops.shared)
        let response = try await client.send(
            ClientRequest(
                method, node.url + path, headers: headers, body: body.map { .bytes(Array($0.utf8)) } ?? .none,
                deadline: BootClock.now.advanced(by: .seconds(30))))
        return Answer(
            status: response.status, type: response.headers["Content-Type"] ?? "", headers: response.headers,
            bytes: try await response.collect(limit: .mebibytes(16)))
    }

    private static func holds(_ expectation: Audit.Expectation, _ answer: Answer) -> Bool {
        switch expectation {
        case .status(let range): range.contains(answer.status)
        case .type(let type): answer.type.contains(type)
        case .errors: answer.value?["errors"] != nil
        case .noErrors: answer.value != nil && answer.value?["errors"] == nil
        case .noData: answer.value != nil && answer.value?["data"] == nil
        case .utf8: String(validating: answer.bytes, as: UTF8.self) != nil
        case .errorsOr400: answer.type.contains("application/json") ? answer.value?["errors"] != nil : answer.status == 400
        }
    }

    private func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            let digits = String(byte, radix: 16, uppercase: true)
            return isPlain ? String(UnicodeScalar(byte)) : "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }
}
