/// What a balancer must know about the calls behind it: which may be tried on a second node, and which last.
///
/// GET, HEAD and OPTIONS only read. Other calls that are named nowhere here are sent once: when the node falls silent nobody knows whether
/// they took effect, so they are tried on another one only if they had not been sent. (nginx repeats PUT and DELETE too, whose methods
/// promise that a second time changes nothing.)
public struct RouteTable: Sendable, Hashable {
    /// Calls that only read, although their method does not say so.
    public var reads: [CallPattern]
    /// Writes of which the nodes recognise a repetition by its `Idempotency-Key`.
    public var writes: [CallPattern]
    /// Calls whose bodies take as long as they take, in either direction. The path decides: other methods on it are treated alike.
    public var streams: [CallPattern]

    public init(reads: [CallPattern] = [], writes: [CallPattern] = [], streams: [CallPattern] = []) {
        self.reads = reads
        self.writes = writes
        self.streams = streams
    }

    public func below(_ prefix: String) -> RouteTable {
        RouteTable(
            reads: reads.map { $0.below(prefix) }, writes: writes.map { $0.below(prefix) }, streams: streams.map { $0.below(prefix) })
    }

    public static func + (left: RouteTable, right: RouteTable) -> RouteTable {
        RouteTable(reads: left.reads + right.reads, writes: left.writes + right.writes, streams: left.streams + right.streams)
    }
}

/// The tables of the faces. A test compares them with `docs/http-api.md` and `docs/qdrant.md`, which are compared with the faces.
extension RouteTable {
    public static let vectorizer = RouteTable(
        reads: [
            "POST /collections/{name}/search", "POST /collections/{name}/search/vector", "POST /collections/{name}/search/text",
            "POST /search", "POST /semantic_search", "POST /batch_search", "POST /collections/{name}/hybrid_search", "POST /embed",
            "POST /collections/{name}/scroll", "POST /collections/{name}/count",
        ],
        writes: [
            "POST /insert", "POST /insert_vectors", "POST /batch_insert", "POST /insert_texts", "POST /collections/{name}/vectors",
            "POST /update", "POST /batch_update", "POST /batch_delete", "POST /delete_by_filter",
            "POST /collections/{name}/vectors/delete_by_filter", "POST /bulk_update_metadata",
            "POST /collections/{name}/vectors/bulk_update_metadata", "DELETE /collections/{name}/vectors/{id}",
        ])

    /// At the root of a listener of its own; elsewhere `below("/qdrant")`.
    public static let qdrant = RouteTable(
        reads: [
            "POST /collections/{collection}/points/query", "POST /collections/{collection}/points/query/batch",
            "POST /collections/{collection}/points/query/groups", "POST /collections/{collection}/points",
            "POST /collections/{collection}/points/scroll", "POST /collections/{collection}/points/count",
            "POST /collections/{collection}/facet",
        ],
        writes: [
            "PUT /collections/{collection}/points", "POST /collections/{collection}/points/delete",
            "POST /collections/{collection}/points/payload", "PUT /collections/{collection}/points/payload",
            "POST /collections/{collection}/points/payload/delete", "POST /collections/{collection}/points/payload/clear",
            "PUT /collections/{collection}/points/vectors", "POST /collections/{collection}/points/vectors/delete",
            "POST /collections/{collection}/points/batch",
        ],
        streams: [
            "GET /collections/{collection}/snapshots/{snapshot}", "POST /collections/{collection}/snapshots/upload",
        ])
}
