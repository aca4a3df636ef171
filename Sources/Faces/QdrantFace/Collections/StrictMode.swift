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

    func check(limit wanted: Int, _ filter: Filter) throws(ApusError) {
        try check(wanted, "max_query_limit", "limit", "Reduce the \"limit\" parameter to or below \(limit("max_query_limit") ?? 0).")
        try check(
            filter.conditions, "filter_max_conditions", "filter", "Reduce the number of conditions of the filter.")
    }

    func check(_ query: PointQuery, _ root: JSONElement) throws(ApusError) {
        try check(limit: query.limit, query.filter)
        if let ef = root.member("params")?.member("hnsw_ef") {
            try check(try ef.expectCount(), "search_max_hnsw_ef", "hnsw_ef", "Reduce the \"hnsw_ef\" parameter.")
        }
        if query.isExact, limits["search_allow_exact"]?.asBool == false {
            throw .wrong("Exact search is not allowed for this collection. Help: Set \"exact\" to false.", "params.exact")
        }
    }

    func check(batch count: Int) throws(ApusError) {
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
