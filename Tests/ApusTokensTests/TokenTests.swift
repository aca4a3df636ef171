import ApusTokens
import ApusTypes
import Testing

@Suite("signed tokens")
struct TokenTests {
    static let secret = "a secret of tests that is long enough"
    static let now = WallTime(millisecondsSinceEpoch: 1_790_000_000_000)

    private static func keys(_ algorithm: String) throws -> [VerificationKey] {
        let text =
            switch algorithm {
            case "ES256": Samples.p256Key
            case "ES384": Samples.p384Key
            case "ES512": Samples.p521Key
            case "EdDSA": Samples.edwardsKey
            default: Samples.rsaKey
            }
        return [algorithm.hasPrefix("HS") ? try VerificationKey(secret: Redacted(secret)) : try VerificationKey(reading: text)]
    }

    private static func judge(_ text: String, _ rules: TokenRules) throws -> TokenRules.Verdict {
        rules.judge(try #require(SignedToken(text)), at: now)
    }

    @Test("tokens of another library are accepted with their key, and with no other", arguments: Samples.tokens.keys.sorted())
    func algorithms(name: String) throws {
        let text = try #require(Samples.tokens[name])
        #expect(try Self.judge(text, TokenRules(keys: Self.keys(name))) == .accepted)
        for other in Samples.tokens.keys where other.prefix(1) != name.prefix(1) || other.hasPrefix("H") != name.hasPrefix("H") {
            guard other.suffix(3) != name.suffix(3) || other.hasPrefix("H") || name.hasPrefix("H") else { continue }
            if ["R", "P"].contains(other.prefix(1)), ["R", "P"].contains(name.prefix(1)) { continue }
            #expect(try Self.judge(text, TokenRules(keys: Self.keys(other))) == .foreign, "\(other)")
        }
    }

    @Test("a token with one changed character is nobody's", arguments: Samples.tokens.keys.sorted())
    func tampered(name: String) throws {
        let text = Array(try #require(Samples.tokens[name]).utf8)
        let rules = TokenRules(keys: try Self.keys(name))
        for index in stride(from: 0, to: text.count, by: 7) where text[index] != UInt8(ascii: ".") {
            var changed = text
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "Q") : UInt8(ascii: "A")
            guard let token = SignedToken(String(decoding: changed, as: UTF8.self)) else { continue }
            #expect(rules.judge(token, at: Self.now) != .accepted, "\(index)")
        }
    }

    @Test("the key says which algorithm it is for: a public key is no secret, and nothing is no signature")
    func confusion() throws {
        let rules = TokenRules(keys: try Self.keys("RS256"))
        for text in Samples.confused { #expect(try Self.judge(text, rules) == .foreign) }
        #expect(try Self.judge(Samples.unsigned, rules) == .foreign)
        #expect(SignedToken(Samples.critical) == nil)
        // RS256 with a key that is for PS256 alone.
        var webKey = try JSONValue(parsing: Array(try #require(Samples.webKeys["RS256"]).utf8)).asObject ?? [:]
        webKey["alg"] = "PS256"
        let key = try #require(VerificationKey(webKey: .object(webKey)))
        #expect(try Self.judge(try #require(Samples.tokens["RS256"]), TokenRules(keys: [key])) == .foreign)
        #expect(try Self.judge(try #require(Samples.tokens["PS256"]), TokenRules(keys: [key])) == .accepted)
    }

    @Test("times, audience and issuer are looked at")
    func claims() throws {
        var rules = TokenRules(keys: try Self.keys("EdDSA"), issuer: "https://issuer.example", audiences: ["apus"])
        #expect(try Self.judge(try #require(Samples.tokens["EdDSA"]), rules) == .accepted)
        #expect(try Self.judge(Samples.endless, rules) == .refused("the token does not say when it expires"))
        #expect(try Self.judge(Samples.expired, rules) == .refused("the token has expired"))
        #expect(try Self.judge(Samples.early, rules) == .refused("the token is not valid yet"))
        #expect(try Self.judge(Samples.forOthers, rules) == .refused("the token is for somebody else"))
        #expect(try Self.judge(Samples.authorized, rules) == .accepted)
        #expect(try Self.judge(Samples.ofOthers, rules) == .foreign)
        // Clocks may be apart by as much.
        rules.leeway = .seconds(100)
        let token = try #require(SignedToken(Samples.expired))
        #expect(rules.judge(token, at: WallTime(millisecondsSinceEpoch: 1_700_000_099_000)) == .accepted)
        #expect(rules.judge(token, at: WallTime(millisecondsSinceEpoch: 1_700_000_100_000)) == .refused("the token has expired"))
    }

    @Test("keys are read in every form: of the web, of SSH, in base 64")
    func forms() throws {
        for (name, text) in Samples.webKeys {
            let key = try #require(VerificationKey(webKey: JSONValue(parsing: Array(text.utf8))))
            #expect(try Self.judge(try #require(Samples.tokens[name]), TokenRules(keys: [key])) == .accepted, "\(name)")
        }
        for (name, text) in Samples.sshKeys {
            #expect(
                try Self.judge(try #require(Samples.tokens[name]), TokenRules(keys: [VerificationKey(reading: text)])) == .accepted,
                "\(name)")
        }
        let body = Samples.edwardsKey.split(separator: "\n").dropFirst().dropLast().joined()
        #expect(try Self.judge(try #require(Samples.tokens["EdDSA"]), TokenRules(keys: [VerificationKey(reading: body)])) == .accepted)
    }

    @Test("keys that are too short, of another curve, off their curve or for something else are none")
    func poorKeys() throws {
        for text in [Samples.shortRSAKey, Samples.koblitzKey, "", "nothing", "ssh-rsa AAAA", "-----BEGIN PUBLIC KEY-----"] {
            #expect(throws: ApusError.self) { try VerificationKey(reading: text) }
        }
        #expect(throws: ApusError.self) { try VerificationKey(secret: Redacted("short")) }
        let good = try JSONValue(parsing: Array(try #require(Samples.webKeys["ES256"]).utf8)).asObject ?? [:]
        for (name, value) in [("x", good["y"] ?? .null), ("use", "enc"), ("crv", "P-384"), ("kty", "oct"), ("key_ops", ["sign"])] {
            var bad = good
            bad[name] = value
            #expect(VerificationKey(webKey: .object(bad)) == nil, "\(name)")
        }
    }

    @Test("a key with a name is not used for a token that names another")
    func names() throws {
        var webKey = try JSONValue(parsing: Array(try #require(Samples.webKeys["EdDSA"]).utf8)).asObject ?? [:]
        webKey["kid"] = "k1"
        let key = try #require(VerificationKey(webKey: .object(webKey)))
        #expect(key.id == "k1")
        // A token that names none is checked with all.
        #expect(try Self.judge(try #require(Samples.tokens["EdDSA"]), TokenRules(keys: [key])) == .accepted)
    }

    @Test("texts that are no tokens are none", arguments: ["", "a.b.c", "..", "e30.e30.", "e30.e30.e30.e30", "W10.e30.AA", "e30=.e30.AA"])
    func noTokens(text: String) {
        #expect(SignedToken(text) == nil)
        #expect(SignedToken(String(repeating: "A", count: 20_000) + ".e30.AA") == nil)
    }
}
