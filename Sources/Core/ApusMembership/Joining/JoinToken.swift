public import ApusTypes

/// What a machine needs to become a node of a cluster: where to ask, and a key that proves that it was asked to. Good once, and until it
/// expires.
///
/// The key is derived from the cluster secret, so that any node can check a token and none has to keep it. Neither the key nor the secret is
/// ever sent: a request proves the key, and the reply is sealed with it.
public struct JoinToken: Sendable, Hashable {
    /// 16 hexadecimal digits.
    public var id: String
    public var expires: WallTime
    /// URLs of nodes of the cluster, tried in this order.
    public var nodes: [String]
    private let keyBytes: [UInt8]

    /// A new token of a cluster that has `secret`.
    public init(secret: Redacted<String>, expires: WallTime, nodes: [String], using generator: inout some RandomNumberGenerator) {
        id = hexadecimal((0..<8).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        self.expires = expires
        self.nodes = nodes
        keyBytes = Self.key(secret, id: id, expires: expires).reveal()
    }

    public var key: SecretKey { SecretKey(bytes: keyBytes)! }  // of 32 bytes by construction

    /// The key of the token that has this id and end, as every node that has the secret can tell it.
    public static func key(_ secret: Redacted<String>, id: String, expires: WallTime) -> SecretKey {
        SecretKey(from: secret, for: "apus join token\n\(id)\n\(expires.millisecondsSinceEpoch)")
    }

    // MARK: As text

    private static let prefix = "apus1."

    /// `apus1.` and digits: one word that survives a shell and a chat.
    public var text: String {
        let value: JSONValue = [
            "id": .string(id), "expires": .integer(expires.millisecondsSinceEpoch), "nodes": .array(nodes.map(JSONValue.string)),
            "key": .string(hexadecimal(keyBytes)),
        ]
        return Self.prefix + hexadecimal(Array(value.description.utf8))
    }

    /// Nil for anything that is no token, also for one that has lost a letter.
    public init?(text: String) {
        guard text.hasPrefix(Self.prefix), let json = bytes(ofHexadecimal: text.dropFirst(Self.prefix.count)),
            let value = try? JSONValue(parsing: json), let id = value["id"]?.asString, let expires = value["expires"]?.asInteger,
            let nodes = value["nodes"]?.asArray?.compactMap(\.asString), !nodes.isEmpty,
            let key = value["key"]?.asString.flatMap({ bytes(ofHexadecimal: $0) }), key.count == 32
        else { return nil }
        self.id = id
        self.expires = WallTime(millisecondsSinceEpoch: expires)
        self.nodes = nodes
        keyBytes = key
    }
}

/// What a machine sends to join, and what proves that it may.
public struct JoinRequest: Sendable, Hashable {
    /// Of the token.
    public var id: String
    public var expires: WallTime
    /// 32 hexadecimal digits, new for each request: two replies are sealed differently.
    public var nonce: String
    /// Only asks who the others are; the token can be used afterwards.
    public var isTrial: Bool
    public var proof: [UInt8]

    public init(_ token: JoinToken, isTrial: Bool, using generator: inout some RandomNumberGenerator) {
        id = token.id
        expires = token.expires
        nonce = hexadecimal((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        self.isTrial = isTrial
        proof = []
        proof = token.key.code(of: message)
    }

    private var message: [UInt8] { Array("apus join\n\(id)\n\(expires.millisecondsSinceEpoch)\n\(nonce)\n\(isTrial)".utf8) }

    public func isProved(by key: SecretKey) -> Bool { constantTimeEqual(proof, key.code(of: message)) }

    /// Seals the reply to this request.
    public func replyKey(_ key: SecretKey) -> SecretKey { key.derived(for: "apus join reply\n\(nonce)") }

    public var value: JSONValue {
        [
            "id": .string(id), "expires": .integer(expires.millisecondsSinceEpoch), "nonce": .string(nonce), "is_trial": .bool(isTrial),
            "proof": .string(hexadecimal(proof)),
        ]
    }

    public init?(_ value: JSONValue) {
        guard let id = value["id"]?.asString, let expires = value["expires"]?.asInteger, let nonce = value["nonce"]?.asString,
            let isTrial = value["is_trial"]?.asBool, let proof = value["proof"]?.asString,
            [id, nonce, proof].allSatisfy({ $0.utf8.count <= 128 })
        else { return nil }
        self.id = id
        self.expires = WallTime(millisecondsSinceEpoch: expires)
        self.nonce = nonce
        self.isTrial = isTrial
        self.proof = bytes(ofHexadecimal: proof) ?? []
    }
}
