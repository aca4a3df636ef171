internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// The limits that a collection's `strict_mode_config` sets, those of them that are enforced here (`docs/qdrant.md` names the others).
struct StrictMode {
    private let limits: JSONObject

    init(_ settings: CollectionSettings) {
        let config = settings["strict_mode_config"]
        limits = config["enabled"]?.asBool == true ? config : JSONObject()
    }

    private func limit(_ name: String) -> Int? { limits[name]?.asInteger.map { Int($0) } }

    /// A request that finds points: its limit where it has one, and its filter.
    func check(limit wanted: Int? = nil, _ filter: Filter) throws(ApusError) {
        if let wanted {
            try check(wanted, "max_query_limit", "limit", "Reduce the \"limit\" parameter to or below \(limit("max_query_limit") ?? 0).")
        }
        try check(filter.conditions, "filter_max_conditions", "filter", "Reduce the number of conditions of the filter.")
    }

    /// A query as it was written, each of its stages by itself: that it makes sense has been seen before.
    func check(query root: JSONElement) throws(ApusError) {
        guard !limits.isEmpty else { return }
        try check(limit: try root.member("limit")?.expectCount() ?? QueryReading.defaultLimit, try root.member("filter").filter().filter)
        let params = root.member("params")
        if let ef = params?.member("hnsw_ef") {
            try check(try ef.expectCount(), "search_max_hnsw_ef", "hnsw_ef", "Reduce the \"hnsw_ef\" parameter.")
        }
        if params?.member("exact")?.bool == true, limits["search_allow_exact"]?.asBool == false {
            throw .wrong("Exact search is not allowed for this collection. Help: Set \"exact\" to false.", "params.exact")
        }
        for prefetch in root.member("prefetch")?.oneOrMany() ?? [] { try check(query: prefetch) }
    }

    func check(_ operation: UpdateOperation) throws(ApusError) {
        switch operation {
        case .upsert(let points): try check(batch: points.count)
        case .delete(.filter(let filter)), .payload(_, .filter(let filter)), .deleteVectors(_, .filter(let filter)): try check(filter)
        case .delete(.ids), .payload(_, .ids), .deleteVectors(_, .ids), .updateVectors: break
        }
    }

    private func check(batch count: Int) throws(ApusError) {
        try check(count, "upsert_max_batchsize", "upsert limit", "Reduce the number of points in the batch.")
    }

    private func check(_ value: Int, _ name: String, _ field: String, _ help: String) throws(ApusError) {
        guard let most = limit(name), value > most else { return }
        throw .wrong("Limit exceeded \(value) > \(most) for \"\(field)\". Help: \(help)", field)
    }
}

extension Filter {
    fileprivate var conditions: Int {
        switch self {
        case .all(let filters), .any(let filters), .atLeast(_, let filters): filters.reduce(0) { $0 + $1.conditions }
        case .not(let filter), .nested(_, let filter): filter.conditions
        default: 1
        }
    }
}

extension QdrantFace {
    func strictMode(of name: CollectionName, _ request: Request) async throws -> StrictMode {
        // Every search asks, and hardly any collection has limits: its settings are read only if they can hold some.
        let settings = try await vectors.settings(of: name, deadline: request.deadline)
        return StrictMode(CollectionSettings(settings?.contains("strict_mode_config") == true ? settings : nil))
    }
}
