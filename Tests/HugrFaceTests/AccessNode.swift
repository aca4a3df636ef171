import ApusHTTP
import ApusRuntime
import ApusTypes
import COpenSSL
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit
import Testing

/// A node with two notes, and roles, keys and permissions as an operator makes them.
struct AccessNode {
    let node: NodeProcess

    static func with(
        _ settings: String = "", environment: [String: String] = [:], _ body: (AccessNode) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        try await SourceFiles.sqlite(in: directory.path)
        let configuration = directory.path + "/apus.yml"
        let text = try String(contentsOfFile: configuration, encoding: .utf8)
        try SourceFiles.write(text.replacing("query:\n", with: "query:\n" + settings), to: configuration)
        let node = try await NodeProcess.start(
            directory: directory.path + "/data", arguments: ["--config", configuration], environment: environment, loops: TestLoops.shared)
        try await body(AccessNode(node: node))
        try await node.stopCleanly()
    }

    struct Answer {
        var status: Int
        var headers: Headers
        var text: String
        /// Null where it is no JSON.
        var body: JSONValue { (try? JSONValue(parsing: Array(text.utf8))) ?? .null }
        var data: JSONValue? { body["data"] }
        var message: String? { body["errors"]?.asArray?.first?["message"]?.asString }
        var challenge: String { headers["WWW-Authenticate"] ?? "" }
    }

    /// With the credentials in `headers` alone. From behind a proxy, as it were: nobody is trusted for where he asks from.
    func ask(_ operation: String, _ headers: Headers, variables: JSONObject = [:]) async throws -> Answer {
        try await Self.ask(node.url, operation, headers, variables: variables)
    }

    static func ask(
        _ url: String, _ operation: String, _ headers: Headers, variables: JSONObject = [:]
    ) async throws -> Answer {
        var headers = headers
        headers["Content-Type"] = "application/json"
        headers["X-Forwarded-For"] = "192.0.2.1"
        let body = JSONValue.object(["query": .string(operation), "variables": .object(variables)])
        let response = try await HTTPClient(loops: TestLoops.shared).send(
            ClientRequest(
                .post, url + "/query", headers: headers, body: .bytes(body.serialized()), deadline: BootClock.now.advanced(by: .seconds(30))
            )
        )
        let bytes = try await response.collect(limit: .mebibytes(16))
        return Answer(status: response.status, headers: response.headers, text: String(decoding: bytes, as: UTF8.self))
    }

    /// As the operator.
    @discardableResult
    func manage(_ mutation: String, variables: JSONObject = [:]) async throws -> JSONValue {
        let answer = try await ask(mutation, ["X-API-Key": node.key], variables: variables)
        #expect(answer.status == 200 && answer.message == nil, "\(answer.text)")
        return answer.data ?? .null
    }

    /// Makes a role with rules, and a key of it that is its name and `-0123456789`.
    func addRole(_ name: String, _ more: String = "", rules: String) async throws {
        try await manage(
            """
            mutation { core {
              insert_roles(data: { name: "\(name)" \(more) permissions: [\(rules)] }) { name }
              insert_api_keys(data: { name: "\(name)", key: "\(name)-0123456789", default_role: "\(name)" }) { name }
            } }
            """)
        // One node has read it when somebody could ask with it.
        try await eventually("the key is known") { try await ask("{ __typename }", Self.key(name)).status == 200 }
    }

    var log: String { NodeProcess.text(of: node.directory + ".log") }

    static func key(_ role: String) -> Headers { ["X-Hugr-Api-Key": "\(role)-0123456789"] }
}

/// Tokens that a test signs.
enum TestToken {
    static let secret = "a secret of these tests, long enough to sign with"

    static func base64(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private static func signed(_ header: JSONObject, _ claims: JSONObject, _ sign: ([UInt8]) -> [UInt8]) -> String {
        let message = [header, claims].map { base64(JSONValue.object($0).serialized()) }.joined(separator: ".")
        return message + "." + base64(sign(Array(message.utf8)))
    }

    /// HS256.
    static func shared(_ claims: JSONObject, secret: String = secret) -> String {
        signed(["alg": "HS256", "typ": "JWT"], claims) { message in
            [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
                let key = Array(secret.utf8)
                HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, buffer.baseAddress, nil)
                count = 32
            }
        }
    }

    static var later: JSONValue { .integer(Int64(Date.now.timeIntervalSince1970) + 600) }

    /// A key of an issuer, Ed25519.
    struct Key {
        let id: String
        private let seed: [UInt8]

        init(_ id: String) {
            self.id = id
            seed = (0..<32).map { _ in .random(in: 0...255) }
        }

        private func with<Value>(_ body: (OpaquePointer) -> Value) -> Value {
            let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count)!  // 32 bytes are a key
            defer { EVP_PKEY_free(key) }
            return body(key)
        }

        var webKey: JSONValue {
            var bytes = [UInt8](repeating: 0, count: 32)
            var count = 32
            with { _ = EVP_PKEY_get_raw_public_key($0, &bytes, &count) }
            return ["kty": "OKP", "crv": "Ed25519", "kid": .string(id), "use": "sig", "x": .string(base64(bytes))]
        }

        func token(_ claims: JSONObject) -> String {
            TestToken.signed(["alg": "EdDSA", "kid": .string(id)], claims) { message in
                var signature = [UInt8](repeating: 0, count: 64)
                var count = 64
                with { key in
                    let context = EVP_MD_CTX_new()
                    defer { EVP_MD_CTX_free(context) }
                    EVP_DigestSignInit(context, nil, nil, nil, key)
                    EVP_DigestSign(context, &signature, &count, message, message.count)
                }
                return signature
            }
        }
    }
}
