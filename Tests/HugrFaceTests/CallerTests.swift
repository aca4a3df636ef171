import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import HTTPTestKit
import NodeProcessKit
import Synchronization
import TestKit
import Testing

/// Who asks.
@Suite("callers of the query service")
struct CallerTests {
    private static let me = "{ function { core { auth { me { user_id user_name role auth_type auth_provider } } } } }"

    private static func identity(_ answer: AccessNode.Answer) -> JSONValue? { answer.data?["function"]?["core"]?["auth"]?["me"] }

    @Test("a managed key has its role and its claims until it is disabled, has expired or is deleted")
    func managedKeys() async throws {
        try await AccessNode.with { lab in
            try await lab.addRole(
                "viewer", rules: #"{type_name: "data-object:query", field_name: "notes", filter: {text: {eq: "[$auth.only]"}}}"#)
            try await lab.manage(
                """
                mutation { core { insert_api_keys(data: { name: "claims", key: "claims-0123456789", default_role: "readonly",
                  claims: { role: "viewer", user_id: "7", only: "two" } }) { name }
                  old: insert_api_keys(data: { name: "old", key: "old-0123456789", default_role: "viewer",
                  expires_at: "2020-01-01T00:00:00Z" }) { name } } }
                """)
            try await eventually("the key is known") { try await lab.ask("{ __typename }", AccessNode.key("claims")).status == 200 }
            let notes = try await lab.ask("{ notes { id } }", AccessNode.key("claims"))
            #expect(notes.text == #"{"data":{"notes":[{"id":2}]}}"#)
            // A claim that is not there equals nothing.
            #expect(try await lab.ask("{ notes { id } }", AccessNode.key("viewer")).text == #"{"data":{"notes":[]}}"#)
            let me = Self.identity(try await lab.ask(Self.me, AccessNode.key("claims")))
            #expect(me?["role"] == "viewer" && me?["user_id"] == "7" && me?["auth_type"] == "apiKey")
            // As a bearer, too.
            #expect(try await lab.ask("{ __typename }", ["Authorization": "Bearer claims-0123456789"]).status == 200)

            let expired = try await lab.ask("{ __typename }", AccessNode.key("old"))
            #expect(expired.status == 401 && expired.text == "unauthorized\n")
            #expect(expired.challenge.contains("error_description=\"the API key has expired\""))
            let wrong = try await lab.ask("{ __typename }", AccessNode.key("nobody"))
            #expect(wrong.status == 401 && wrong.challenge.contains("the API key is not known"))
            #expect(try await lab.ask("{ __typename }", [:]).status == 401)

            try await lab.manage(
                #"mutation { core { update_api_keys(filter: {name: {eq: "claims"}}, data: {disabled: true}) { success } } }"#)
            try await eventually("it is refused") {
                try await lab.ask("{ __typename }", AccessNode.key("claims")).challenge.contains("the API key is disabled")
            }
            try await lab.manage(#"mutation { core { delete_api_keys(filter: {name: {eq: "viewer"}}) { success } } }"#)
            try await eventually("it is refused") { try await lab.ask("{ __typename }", AccessNode.key("viewer")).status == 401 }
        }
    }

    private static let file = """
        api-keys:
          backend: {key: backend-key-0123456789, default-role: readonly, headers: {role: X-My-Role, user-id: X-My-User}}
          other: {key: other-key-0123456789, header: x-other, default_role: public}
        jwt:
          ours: {issuer: "https://tests", audience: apus, secret: "\(TestToken.secret)", cookie_name: session, claims: {user_name: nick}}
        secret_key: service-key-0123456789
        """

    @Test("keys and tokens of the configuration's file, each with what it says and no more")
    func authFile() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/auth.yml"
        #expect(
            FileManager.default.createFile(atPath: path, contents: Data(Self.file.utf8), attributes: [.posixPermissions: 0o600]))
        try await AccessNode.with("  auth_file: \(path)\n") { lab in
            func me(_ headers: Headers) async throws -> JSONValue? { Self.identity(try await lab.ask(Self.me, headers)) }
            let backend = try await me(["x-hugr-api-key": "backend-key-0123456789", "x-my-role": "public", "x-my-user": "u9"])
            #expect(backend?["role"] == "public" && backend?["user_id"] == "u9" && backend?["auth_provider"] == "backend")
            #expect(try await me(["x-hugr-api-key": "backend-key-0123456789"])?["role"] == "readonly")
            #expect(try await me(["x-other": "other-key-0123456789", "x-my-role": "admin"])?["role"] == "public")
            let service = try await me([
                "x-hugr-secret-key": "service-key-0123456789", "x-hugr-role": "readonly", "x-hugr-user-name": "Ann",
            ])
            #expect(service?["role"] == "readonly" && service?["user_name"] == "Ann")
            for headers: Headers in [["x-other": "wrong"], ["x-hugr-secret-key": "backend-key-0123456789"], ["x-hugr-secret": "wrong"]] {
                #expect(try await lab.ask("{ __typename }", headers).status == 401)
            }

            var claims: JSONObject = ["iss": "https://tests", "aud": "apus", "sub": "u1", "nick": "U", "exp": TestToken.later]
            claims["x-hugr-role"] = "public"
            let good = TestToken.shared(claims)
            let told = try await me(["Authorization": "Bearer \(good)"])
            #expect(told?["role"] == "public" && told?["user_id"] == "u1" && told?["user_name"] == "U" && told?["auth_type"] == "jwt")
            #expect(try await me(["Cookie": "a=b; session=\(good)"])?["user_id"] == "u1")
            claims["x-hugr-role"] = nil
            claims["scope"] = "openid hugr:readonly"
            #expect(try await me(["Authorization": "Bearer \(TestToken.shared(claims))"])?["role"] == "readonly")

            var bad: [(JSONObject, String)] = []
            func without(_ name: String, _ value: JSONValue?) -> JSONObject {
                var changed = claims
                changed[name] = value
                return changed
            }
            bad.append((without("exp", 1_600_000_000), "the token has expired"))
            bad.append((without("exp", nil), "the token does not say when it expires"))
            bad.append((without("aud", "others"), "the token is for somebody else"))
            bad.append((without("scope", nil), "the token names no role"))
            bad.append((without("iss", "https://others"), "nobody whose tokens are believed has signed the token"))
            for (claims, reason) in bad {
                let answer = try await lab.ask("{ __typename }", ["Authorization": "Bearer \(TestToken.shared(claims))"])
                #expect(answer.status == 401 && answer.challenge.contains(reason), "\(reason): \(answer)")
            }
            let foreign = TestToken.shared(claims, secret: "another secret of these tests, long enough")
            for token in [foreign, "a.b.c", "\(good)x"] {
                #expect(try await lab.ask("{ __typename }", ["Authorization": "Bearer \(token)"]).status == 401)
            }
            #expect(try await lab.ask("{ __typename }", ["Authorization": "Basic YTpi"]).status == 401)
            // A role that is not there.
            let nowhere = try await lab.ask(
                "{ __typename }", ["Authorization": "Bearer \(TestToken.shared(without("scope", "hugr:nowhere")))"])
            #expect(nowhere.status == 403 && nowhere.text == #"{"errors":[{"message":"forbidden"}]}"#)
        }
    }

    @Test("an issuer tells its keys: they are asked for beside requests, exchanged without a restart, and kept while it is away")
    func issuer() async throws {
        let keys = Mutex([TestToken.Key("k1")])
        let asked = Mutex(0)
        let isAway = Mutex(false)
        try await TestServer.with(routes: { router in
            router.on(.get, "/.well-known/openid-configuration") { request in
                asked.withLock { $0 += 1 }
                if isAway.withLock({ $0 }) { throw ApusError(.serverBusy, "away") }
                let own = "http://\(request.headers["Host"] ?? "")"
                return .json(JSONValue.object(["issuer": .string(own), "jwks_uri": .string(own + "/keys")]).serialized())
            }
            router.on(.get, "/keys") { _ in
                .json(JSONValue.object(["keys": .array(keys.withLock { $0.map(\.webKey) } + [["kty": "strange"]])]).serialized())
            }
        }) { server in
            let issuer = "http://127.0.0.1:\(server.port)"
            let settings = "  oidc: {issuer: \"\(issuer)/\", client_id: apus, role_claim: realm.roles, user_name_claim: nick}\n"
            try await AccessNode.with(settings) { lab in
                func token(_ key: TestToken.Key, _ audience: String = "apus") -> Headers {
                    let claims: JSONObject = [
                        "iss": .string(issuer), "sub": "u1", "nick": "U", "aud": ["account", .string(audience)], "exp": TestToken.later,
                        "realm": ["roles": ["offline", "hugr:readonly"]],
                    ]
                    return ["Authorization": "Bearer \(key.token(claims))"]
                }
                let first = keys.withLock { $0[0] }
                try await eventually("its keys are known") { try await lab.ask("{ __typename }", token(first)).status == 200 }
                let me = Self.identity(try await lab.ask(Self.me, token(first)))
                #expect(me?["role"] == "readonly" && me?["auth_type"] == "oidc" && me?["user_name"] == "U")
                #expect(try await lab.ask("{ __typename }", token(first, "others")).challenge.contains("for somebody else"))
                // Requests do not ask the issuer.
                let before = asked.withLock { $0 }
                for _ in 0..<20 { #expect(try await lab.ask("{ __typename }", token(first)).status == 200) }
                #expect(asked.withLock { $0 } == before)
                // Another key, under its name, and the first one is not believed any more.
                let second = TestToken.Key("k2")
                keys.withLock { $0 = [second] }
                #expect(try await lab.ask("{ __typename }", token(second)).status == 200)
                #expect(try await lab.ask("{ __typename }", token(first)).status == 401)
                isAway.withLock { $0 = true }
                #expect(try await lab.ask("{ __typename }", token(second)).status == 200)
                // A key of nobody does not have the issuer asked again and again.
                let many = asked.withLock { $0 }
                for number in 0..<10 {
                    #expect(try await lab.ask("{ __typename }", token(TestToken.Key("x\(number)"))).status == 401)
                }
                #expect(asked.withLock { $0 } <= many + 1)
            }
        }
    }

    @Test("who may impersonate asks as somebody else, with that role's rights and no others; it is in the log")
    func impersonation() async throws {
        try await AccessNode.with { lab in
            try await lab.addRole("helper", ", can_impersonate: true,", rules: "")
            try await lab.addRole("plain", rules: "")
            var headers = AccessNode.key("helper")
            headers["x-hugr-impersonated-role"] = "readonly"
            headers["x-hugr-impersonated-user-id"] = "42"
            headers["x-hugr-impersonated-user-name"] = "Bob"
            let all =
                "{ function { core { auth { me { user_id user_name role auth_type impersonated_by_role impersonated_by_user_id } } } } }"
            let me = Self.identity(try await lab.ask(all, headers))
            #expect(
                me == [
                    "user_id": "42", "user_name": "Bob", "role": "readonly", "auth_type": "impersonation", "impersonated_by_role": "helper",
                    "impersonated_by_user_id": "anonymous",
                ])
            let change = "mutation { insert_notes(data: {id: 9, text: \"x\"}) { id } }"
            #expect(try await lab.ask(change, headers).message == "forbidden")
            #expect(try await lab.ask(change, AccessNode.key("plain")).message == nil)
            var others = AccessNode.key("plain")
            others["x-hugr-impersonated-role"] = "admin"
            #expect(try await lab.ask("{ __typename }", others).status == 403)
            headers["x-hugr-impersonated-role"] = "nowhere"
            #expect(try await lab.ask("{ __typename }", headers).status == 403)
            #expect(lab.log.contains("somebody asks as somebody else"))
        }
    }

    @Test("nobody asks without a credential unless a role is named for it, and the node says at its start what that may do")
    func anonymous() async throws {
        try await AccessNode.with("  anonymous: readonly\n") { lab in
            let me = Self.identity(try await lab.ask(Self.me, [:]))
            #expect(me?["role"] == "readonly" && me?["auth_type"] == "anonymous" && me?["auth_provider"] == "anonymous")
            #expect(try await lab.ask("mutation { insert_notes(data: {id: 9, text: \"x\"}) { id } }", [:]).message == "forbidden")
            // A wrong credential is not taken for none.
            for headers: Headers in [AccessNode.key("nobody"), ["Authorization": "Bearer a.b.c"], ["x-hugr-secret": "x"]] {
                #expect(try await lab.ask("{ __typename }", headers).status == 401)
            }
            #expect(lab.log.contains("whoever reaches this node may ask the query service without a credential"))
            #expect(lab.log.contains("read all data, and change nothing"))
        }
    }
}
