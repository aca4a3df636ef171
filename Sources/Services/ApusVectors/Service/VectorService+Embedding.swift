public import ApusEmbedding
internal import ApusRuntime
public import ApusTypes

extension VectorService {
    /// Longest text that is embedded, in bytes of UTF-8.
    public static let longestText: ByteCount = .mebibytes(1)

    /// The vectors of texts, by the provider of a collection and of its dimension; float32 of length 1.
    ///
    /// Throws `collection.unknown`, `embedding.unavailable` if the collection names no provider, and what `embed(_:with:)` throws.
    public func embed(_ texts: [String], for name: CollectionName, deadline: Instant) async throws -> [[Float]] {
        let configuration = try await find(name, deadline: deadline).configuration
        guard let provider = configuration.embedding else {
            throw ApusError(
                .embeddingUnavailable, "collection '\(name)' has no embedding provider: it takes vectors, not texts",
                hint: "send vectors, or make a collection with 'embedding_provider' (bm25, char_ngram, minilm)",
                context: ["collection": name.rawValue])
        }
        return try await embed(texts, with: provider, dimension: configuration.dimension, deadline: deadline)
    }

    /// The vectors of texts, computed in the pool on as many threads as there are cores.
    ///
    /// Throws `embedding.wrong_dimension`, `model.unknown` naming the command that installs it, and for a text `request.invalid` if there is
    /// nothing in it and `request.too_large` beyond `longestText`, its place in `context["index"]`.
    public func embed(
        _ texts: [String], with provider: EmbeddingProvider, dimension: Int, deadline: Instant
    ) async throws -> [[Float]] {
        for (index, text) in texts.enumerated() { try Self.check(text, index, of: texts.count) }
        if case .model = provider {
            throw ApusError(
                .modelUnknown, "the model of '\(provider.name)' is not installed in this cluster", hint: "apus model add PATH",
                context: ["field": "embedding_provider"])
        }
        guard CollectionConfiguration.dimensions.contains(dimension) else {
            throw ApusError(
                .embeddingWrongDimension, "'\(provider.name)' makes vectors of 1 to 65536 numbers, not of \(dimension)",
                context: ["field": "dimension"])
        }
        return try await inParts(texts, deadline: deadline) { texts in
            texts.map { provider.lexicalVector(of: $0, dimension: dimension) ?? [] }
        }
    }

    private static func check(_ text: String, _ index: Int, of count: Int) throws(ApusError) {
        let field = count == 1 ? "text" : "texts[\(index)]"
        let context = ["field": field, "index": String(index)]
        guard text.utf8.count <= longestText.bytes else {
            throw ApusError(
                .requestTooLarge, "'\(field)' has \(ByteCount(text.utf8.count)); \(longestText) is the most that is embedded",
                hint: "split it into passages, one point each", context: context)
        }
        guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace && $0.properties.generalCategory != .control }) else {
            throw ApusError(.requestInvalid, "'\(field)' has nothing in it to embed", context: context)
        }
    }

    /// `body` for equal parts of the texts, at the same time.
    private func inParts(
        _ texts: [String], deadline: Instant, _ body: @escaping @Sendable ([String]) throws -> [[Float]]
    ) async throws -> [[Float]] {
        guard !texts.isEmpty else { return [] }
        let size = max(16, (texts.count + options.threadsPerSearch - 1) / options.threadsPerSearch)
        return try await withThrowingTaskGroup(of: (Int, [[Float]]).self) { group in
            for start in stride(from: 0, to: texts.count, by: size) {
                let part = Array(texts[start..<min(start + size, texts.count)])
                group.addTask { [pool] in (start, try await pool.run(deadline: deadline) { try body(part) }) }
            }
            var parts: [(Int, [[Float]])] = []
            for try await part in group { parts.append(part) }
            return parts.sorted { $0.0 < $1.0 }.flatMap(\.1)
        }
    }
}
