public import ApusTypes

/// Who a node is, over all of its starts: kept in the file `node` of its data directory.
public struct NodeIdentity: Sendable, Hashable {
    /// 32 hexadecimal digits, chosen at the first start and never changed.
    public var id: String
    public var name: NodeName
    /// Nobody chose the name, so the catalog's row goes when the node has been gone for long.
    public var isGenerated: Bool

    /// The identity kept in `directory` (which exists), or a new one. A configured name wins over the kept one, and is kept in turn.
    ///
    /// Reads and writes a small local file; for start-up. Throws `input.invalid` for a file that is not ours.
    public static func load(
        directory: String, configuredName: NodeName?, using generator: inout some RandomNumberGenerator
    ) throws(ApusError) -> NodeIdentity {
        let path = directory + "/node"
        var kept: NodeIdentity?
        if let text = try PrivateFile.read(path), !text.isEmpty {
            guard let value = try? JSONValue(parsing: Array(text.utf8)), let identity = NodeIdentity(value) else {
                throw ApusError(
                    .inputInvalid, "\(path) is not a node's identity",
                    hint: "restore it, or remove it to start under a new identity")
            }
            kept = identity
        }
        var identity = kept ?? NodeIdentity(id: ObjectKey.random(using: &generator).description, name: "", isGenerated: true)
        if let configuredName {
            identity.name = configuredName
            identity.isGenerated = false
        } else if kept == nil {
            identity.name = NodeName("node-" + identity.id.prefix(8))
        }
        if identity != kept { try PrivateFile(creating: path).write(identity.value.description + "\n") }
        return identity
    }

    private var value: JSONValue { ["id": .string(id), "name": .string(name.rawValue), "generated": .bool(isGenerated)] }

    private init(id: String, name: NodeName, isGenerated: Bool) {
        self.id = id
        self.name = name
        self.isGenerated = isGenerated
    }

    private init?(_ value: JSONValue) {
        guard let id = value["id"]?.asString, ObjectKey(id) != nil, let name = value["name"]?.asString, !name.isEmpty,
            let isGenerated = value["generated"]?.asBool
        else { return nil }
        self.init(id: id, name: NodeName(name), isGenerated: isGenerated)
    }
}
