internal import ApusRuntime
internal import ApusTypes
internal import ApusVectors

/// Vectorizer's metric names, as its dashboards expect them.
final class VectorizerMetrics: Sendable {
    private let searches: CounterFamily
    private let searchLatency: HistogramFamily
    private let searchResults: HistogramFamily
    private let inserts: CounterFamily
    private let insertLatency: HistogramFamily
    private let errors: CounterFamily

    init(_ registry: MetricsRegistry, vectors: VectorService) {
        searches = registry.counter(
            "vectorizer_search_requests_total", help: "Searches.", labels: ["collection", "search_type", "status"])
        searchLatency = registry.histogram(
            "vectorizer_search_latency_seconds", help: "Time of a search.", labels: ["collection", "search_type"],
            buckets: [0.001, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1])
        searchResults = registry.histogram(
            "vectorizer_search_results_count", help: "Hits of a search.", labels: ["collection"], buckets: [0, 1, 5, 10, 20, 50, 100])
        inserts = registry.counter(
            "vectorizer_insert_requests_total", help: "Requests that write points.", labels: ["collection", "status"])
        insertLatency = registry.histogram(
            "vectorizer_insert_latency_seconds", help: "Time of a request that writes points.",
            buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5])
        errors = registry.counter(
            "vectorizer_api_errors_total", help: "Requests answered with an error.", labels: ["endpoint", "error_type", "status_code"])
        let points = registry.gauge("vectorizer_vectors_total", help: "Points in memory, over all collections.")
        let collections = registry.gauge("vectorizer_collections_total", help: "Collections.")
        let memory = registry.gauge("vectorizer_memory_usage_bytes", help: "Memory of the collections.")
        registry.onScrape {
            // Not loaded yet: the gauges keep what they last said, and readiness says why.
            guard let all = try? vectors.collections() else { return }
            points.with().set(Double(all.reduce(0) { $0 + $1.points }))
            collections.with().set(Double(all.count))
            memory.with().set(Double(all.reduce(0) { $0 + $1.memory.bytes }))
        }
    }

    func measureSearch(
        in name: CollectionName, type: String, _ clock: any MonotonicClock, _ body: () async throws -> SearchResult
    ) async throws -> SearchResult {
        let start = clock.now
        do {
            let result = try await body()
            searches.with(name.rawValue, type, result.isComplete ? "success" : "partial").increment()
            searchLatency.with(name.rawValue, type).observe(start.duration(to: clock.now).seconds)
            searchResults.with(name.rawValue).observe(Double(result.hits.count))
            return result
        } catch {
            searches.with(name.rawValue, type, "error").increment()
            throw error
        }
    }

    func measureInsert(
        into name: CollectionName, _ clock: any MonotonicClock, _ body: () async throws -> WriteOutcome
    ) async throws -> WriteOutcome {
        let start = clock.now
        do {
            let outcome = try await body()
            inserts.with(name.rawValue, "success").increment()
            insertLatency.with().observe(start.duration(to: clock.now).seconds)
            return outcome
        } catch {
            inserts.with(name.rawValue, "error").increment()
            throw error
        }
    }

    func countError(_ error: ApusError, endpoint: String) {
        errors.with(endpoint, VectorizerFace.errorType(error.code), String(error.code.surface.http)).increment()
    }
}
