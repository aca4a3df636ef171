internal import ApusConfig
internal import ApusTypes
internal import Glibc

/// What the nodes of one cluster know and nobody else: where it is read from, and what is derived from it.
enum ClusterSecret {
    static let fileName = "cluster.secret"

    /// The configured one; else the one kept in the node's directory; else the one in a store's directory that was given, where the nodes of
    /// one cluster share it. Nil where there is none.
    static func read(_ configuration: Configuration) throws(ApusError) -> Redacted<String>? {
        if let secret = configuration.cluster.secret { return secret }
        if let path = configuration.cluster.secretFile { return try read(path) }
        for path in paths(configuration) where FileContents.exists(path) { return try read(path) }
        return nil
    }

    /// Makes one for a node that hosts its cluster's catalog, at its first start; nil for other nodes, who must be given theirs.
    static func make(for configuration: Configuration) throws(ApusError) -> Redacted<String>? {
        guard case .hosted = configuration.catalogPlace else { return nil }
        var generator = SystemRandomNumberGenerator()
        let secret = (0..<4).map { _ in
            let digits = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
        try DataDirectory.create(configuration.node.data)
        let path = "\(configuration.node.data)/\(fileName)"
        try FileContents.write(Array((secret + "\n").utf8), to: path, mode: 0o600)
        return Redacted(secret)
    }

    static func missing(catalog: SocketAddress) -> ApusError {
        ApusError(
            .joinSecretMissing, "the catalog at \(catalog) is a node's, and this node does not know the cluster's secret",
            hint: "copy the file cluster.secret of that node's directory into this one's; or set APUS_CLUSTER_SECRET; or run there "
                + "`apus node token`, and here `apus join` with what it prints")
    }

    static func mismatch(catalog: SocketAddress, cause: ApusError) -> ApusError {
        ApusError(
            .joinSecretMismatch, "the catalog at \(catalog) refuses this node's cluster secret",
            hint:
                "copy the file cluster.secret of the node that hosts it into this one's directory; or set APUS_CLUSTER_SECRET to what it holds",
            cause: cause)
    }

    /// The password of the role that nodes use in a catalog that one of them hosts.
    static func catalogPassword(_ secret: Redacted<String>) -> Redacted<String> {
        Redacted(Digest(of: "apus catalog password\n\(secret.reveal())").description)
    }

    private static func paths(_ configuration: Configuration) -> [String] {
        ([configuration.node.data] + [configuration.store.directory].compactMap(\.self)).map { "\($0)/\(fileName)" }
    }

    private static func read(_ path: String) throws(ApusError) -> Redacted<String> {
        let text = String(decoding: try FileContents.readPrivate(path, limit: .kibibytes(64)), as: UTF8.self)
        let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        guard line.count >= 16 else {
            throw ApusError(
                .configurationInvalid, "\(path): the first line must be the cluster secret, at least 16 characters",
                hint: "openssl rand -hex 32 makes one; all nodes have the same")
        }
        return Redacted(line)
    }
}
