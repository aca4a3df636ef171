public import ApusTypes

/// What the file `apus-store` in a store's directory says: whose store it is.
///
/// A few lines of text, so that an operator who wonders what a mount holds can read it:
/// ```
/// apus-store 1
/// cluster 0f3c…
/// store 77ab…
/// checksum <SHA-256 of the lines above>
/// ```
public struct StoreIdentity: Sendable, Hashable {
    public var cluster: ClusterID
    public var store: StoreID

    public init(cluster: ClusterID, store: StoreID) {
        self.cluster = cluster
        self.store = store
    }

    static let fileName = "apus-store"
    private static let version = "1"

    var encoded: [UInt8] {
        let lines = "apus-store \(Self.version)\ncluster \(cluster)\nstore \(store)\n"
        return Array((lines + "checksum \(Digest(of: lines))\n").utf8)
    }

    /// Lines with names that are not known here are kept for later versions: they are covered by the checksum and otherwise ignored.
    init(decoding bytes: [UInt8], place: String) throws {
        func foreign(_ what: String) -> ApusError {
            ApusError(.storeForeign, "\(place) has an identity file that \(what)", hint: "look at \(place)/\(Self.fileName)")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1).map(String.init) }
        guard let first = lines.first, first.count == 2, first[0] == "apus-store" else { throw foreign("is not one of apus") }
        guard first[1] == Self.version else { throw foreign("was written by a newer version (format \(first[1]))") }
        var values: [String: String] = [:]
        for line in lines where line.count == 2 { values[line[0]] = line[1] }
        guard let end = text.range(ofLine: "checksum "), values["checksum"] == Digest(of: String(text[..<end])).description
        else { throw foreign("does not match its checksum") }
        guard let cluster = values["cluster"], let store = values["store"] else { throw foreign("lacks a line") }
        self.init(cluster: ClusterID(cluster), store: StoreID(store))
    }
}

extension String {
    /// Where the last line that begins with `prefix` begins.
    fileprivate func range(ofLine prefix: String) -> String.Index? {
        var index: String.Index? = startIndex
        var found: String.Index?
        while let start = index, start < endIndex {
            if self[start...].hasPrefix(prefix) { found = start }
            index = self[start...].firstIndex(of: "\n").map { self.index(after: $0) }
        }
        return found
    }
}
