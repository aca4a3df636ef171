/// Seals secrets for the catalog, each under a random key of its own, which is sealed under a key that the nodes were given (an envelope): to
/// exchange that key, the envelopes are written anew and not what is in them.
///
/// A sealed secret is a text: `v1`, the key's id, the sealed data key and the sealed value, with dots between them. Both seals are
/// AES-256-GCM. It is bound to what it is for: moved to another row, it does not open.
public struct SecretRing: Sendable {
    private let keys: [(id: String, key: SecretKey)]

    /// The first secret seals, all open. Nil without any.
    public init?(_ secrets: [Redacted<String>]) {
        guard !secrets.isEmpty else { return nil }
        keys = secrets.map { secret in
            let key = SecretKey(from: secret, for: "apus sealed secrets")
            return (Self.id(of: key), key)
        }
    }

    /// What tells keys apart, and tells nothing of them: 12 hexadecimal digits. The sealing one first.
    public var keyIDs: [String] { keys.map(\.id) }

    private static func id(of key: SecretKey) -> String { String(hexadecimal(key.code(of: Array("key id".utf8))).prefix(12)) }

    public func seal(_ value: Redacted<String>, for purpose: String) -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        guard let dataKey = SecretKey(bytes: bytes) else { preconditionFailure("a key has 32 bytes") }
        return Self.text(
            keys[0].id, keys[0].key.seal(bytes), dataKey.derived(for: purpose).seal(Array(value.reveal().utf8)))
    }

    /// Throws `secret.key_unknown` naming the key that is needed, and `secret.damaged`.
    public func open(_ sealed: String, for purpose: String) throws(ApusError) -> Redacted<String> {
        let parts = try Self.parts(sealed)
        guard let dataKey = SecretKey(bytes: try dataKey(parts)), let value = dataKey.derived(for: purpose).open(parts.value) else {
            throw Self.damaged
        }
        return Redacted(String(decoding: value, as: UTF8.self))
    }

    /// The same secret under the key that seals; nil if it is so already.
    public func resealed(_ sealed: String) throws(ApusError) -> String? {
        let parts = try Self.parts(sealed)
        guard parts.id != keys[0].id else { return nil }
        return Self.text(keys[0].id, keys[0].key.seal(try dataKey(parts)), parts.value)
    }

    /// The key that a secret was sealed under.
    public static func keyID(of sealed: String) throws(ApusError) -> String { try parts(sealed).id }

    /// Throws `secret.key_unknown` for the first that was sealed under a key that is not here.
    public func requireKeys(of sealed: [String]) throws(ApusError) {
        for secret in sealed { _ = try dataKey(try Self.parts(secret)) }
    }

    private func dataKey(_ parts: (id: String, key: [UInt8], value: [UInt8])) throws(ApusError) -> [UInt8] {
        guard let key = keys.first(where: { $0.id == parts.id })?.key else {
            throw ApusError(
                .secretKeyUnknown,
                "secrets in the catalog are sealed under the key \(parts.id), and this node has \(keyIDs.joined(separator: " and "))",
                hint: "give this node the key that the others have (query.secret_key_file), or rotate with both: apus secret rotate")
        }
        guard let bytes = key.open(parts.key) else { throw Self.damaged }
        return bytes
    }

    private static var damaged: ApusError {
        ApusError(.secretDamaged, "a sealed secret in the catalog does not open", hint: "set it again")
    }

    private static func text(_ id: String, _ key: [UInt8], _ value: [UInt8]) -> String {
        ["v1", id, hexadecimal(key), hexadecimal(value)].joined(separator: ".")
    }

    private static func parts(_ sealed: String) throws(ApusError) -> (id: String, key: [UInt8], value: [UInt8]) {
        let parts = sealed.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, parts[0] == "v1", let key = bytes(ofHexadecimal: parts[2]),
            let value = bytes(ofHexadecimal: parts[3])
        else { throw damaged }
        return (parts[1], key, value)
    }
}
