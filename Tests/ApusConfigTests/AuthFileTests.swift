import ApusConfig
import ApusTypes
import Testing

@Suite("Hugr's file of keys and issuers")
struct AuthFileTests {
    @Test("names have dashes or underscores, in YAML and in JSON")
    func forms() throws {
        let dashed = """
            managed-api-keys: false
            secret-key: a-service-key-of-length
            anonymous: {allowed: true, role: visitor}
            api-keys:
              one: {key: key-one-0123456789, default-role: r, header: X-One, headers: {role: x-r, user-id: x-u, user-name: x-n}}
            jwt:
              two: {issuer: i, audience: a, secret: s, cookie-name: c, scope-role-prefix: p, claims: {user-id: u}}
            """
        let json = #"""
            {"managed_api_keys": false, "secret_key": "a-service-key-of-length", "anonymous": {"allowed": true, "role": "visitor"},
             "api_keys": {"one": {"key": "key-one-0123456789", "default_role": "r", "header": "X-One",
                                  "headers": {"role": "x-r", "user_id": "x-u", "user_name": "x-n"}}},
             "jwt": {"two": {"issuer": "i", "audience": "a", "secret": "s", "cookie_name": "c", "scope_role_prefix": "p", "claims": {"user_id": "u"}}}}
            """#
        let file = try AuthFile(dashed, path: "f")
        #expect(try AuthFile(json, path: "f") == file)
        #expect(file.managedKeys == false && file.serviceKey == "a-service-key-of-length" && file.anonymousRole == "visitor")
        #expect(file.keys[0].header == "x-one" && file.keys[0].headers.userName == "x-n" && file.keys[0].defaultRole == "r")
        #expect(file.issuers[0].audience == "a" && file.issuers[0].claims.userID == "u" && file.issuers[0].cookie == "c")
        #expect(try AuthFile("", path: "f").keys.isEmpty)
    }

    @Test(
        "what is wrong is named with its line",
        arguments: [
            ("x: 1", "f:1: 'x' is not known here"), ("a: [", "f:2"), ("api_keys:\n  a: {key: short}", "f:2: the key 'a' must have 16"),
            ("jwt:\n  a: {issuer: i}", "f:2: 'a' must have a public_key or a secret"),
            ("jwt:\n  a: {public_key: k, secret: s}", "f:2: 'a' must have a public_key or a secret"),
            ("anonymous: {allowed: true}", "must name the role"), ("oidc: {issuer: i}", "query.oidc"),
            ("anonymous: 3", "must be a mapping"),
            ("anonymous: {allowed: maybe}", "must be true or false"),
        ])
    func mistakes(text: String, words: String) throws {
        let error = try #require(throws: ApusError.self) { try AuthFile(text, path: "f") }
        #expect(error.code == .configurationInvalid && error.summary.contains(words), "\(error.summary)")
    }
}
