public import ApusTypes

/// What a node says of itself and of its ways to the others, when it is examined.
public struct NodeFacts: Sendable, Hashable {
    /// An address of another node at which this one reached nobody.
    public struct Unreached: Sendable, Hashable {
        public var node: NodeName
        public var address: String
        public var reason: String

        public init(node: NodeName, address: String, reason: String) {
            self.node = node
            self.address = address
            self.reason = reason
        }
    }

    public struct Disk: Sendable, Hashable {
        public var path: String
        public var free: ByteCount
        public var total: ByteCount

        public init(path: String, free: ByteCount, total: ByteCount) {
            self.path = path
            self.free = free
            self.total = total
        }
    }

    public struct Problem: Sendable, Hashable {
        public var code: String
        public var summary: String

        public init(code: String, summary: String) {
            self.code = code
            self.summary = summary
        }
    }

    public var version = ""
    public var time = WallTime(millisecondsSinceEpoch: 0)
    /// Those that should be the same on all nodes.
    public var settings: [String: String] = [:]
    public var unreached: [Unreached] = []
    public var disks: [Disk] = []
    public var problems: [Problem] = []

    public init() {}

    public var value: JSONValue {
        [
            "version": .string(version), "time": .integer(time.millisecondsSinceEpoch),
            "settings": .object(JSONObject(settings.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            "unreached": .array(
                unreached.map { ["node": .string($0.node.rawValue), "address": .string($0.address), "reason": .string($0.reason)] }),
            "disks": .array(
                disks.map { ["path": .string($0.path), "free": .integer(Int64($0.free.bytes)), "total": .integer(Int64($0.total.bytes))] }),
            "problems": .array(problems.map { ["code": .string($0.code), "summary": .string($0.summary)] }),
        ]
    }

    /// What is not understood is left out: a node of another version may say more, or less.
    public init(_ value: JSONValue) {
        version = value["version"]?.asString ?? ""
        time = WallTime(millisecondsSinceEpoch: value["time"]?.asInteger ?? 0)
        settings = Self.settings(value["settings"])
        unreached = (value["unreached"]?.asArray ?? []).compactMap {
            guard let node = $0["node"]?.asString, let address = $0["address"]?.asString else { return nil }
            return Unreached(node: NodeName(node), address: address, reason: $0["reason"]?.asString ?? "")
        }
        disks = (value["disks"]?.asArray ?? []).compactMap {
            guard let path = $0["path"]?.asString, let free = $0["free"]?.asInteger, let total = $0["total"]?.asInteger else { return nil }
            return Disk(path: path, free: ByteCount(Int(clamping: free)), total: ByteCount(Int(clamping: total)))
        }
        problems = (value["problems"]?.asArray ?? []).compactMap {
            guard let code = $0["code"]?.asString else { return nil }
            return Problem(code: code, summary: $0["summary"]?.asString ?? "")
        }
    }

    static func settings(_ value: JSONValue?) -> [String: String] {
        // Keys of JSON that differ may be equal as text.
        Dictionary(
            (value?.asObject ?? JSONObject()).compactMap { key, value in value.asString.map { (key, $0) } },
            uniquingKeysWith: { first, _ in first })
    }
}
