public import ApusEmbedding
internal import ApusRuntime
public import ApusTypes

extension VectorService {
    /// Longest text that is embedded, in bytes of UTF-8.
    public static let longestText: ByteCount = .mebibytes(1)
    /// Most memory of the vectors of one call.
    static let mostVectors: ByteCount = .mebibytes(128)

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
        for (index, text) in texts.enumerated() {
            try Self.check(text: text, field: texts.count == 1 ? "text" : "texts[\(index)]", index: index)
        }
        guard CollectionConfiguration.dimensions.contains(dimension) else {
            throw ApusError(
                .embeddingWrongDimension, "'\(provider.name)' makes vectors of 1 to 65536 numbers, not of \(dimension)",
                context: ["field": "dimension"])
        }
        guard texts.count * dimension * MemoryLayout<Float>.size <= Self.mostVectors.bytes else {
            throw ApusError(
                .requestTooLarge, "\(texts.count) vectors of \(dimension) numbers are more than \(Self.mostVectors)",
                hint: "send fewer texts at a time", context: ["field": "texts"])
        }
        if case .model(let name) = provider { return try await embed(texts, with: name, dimension: dimension, deadline: deadline) }
        return try await inPool(texts, .hashed, deadline: deadline) { texts in
            texts.map { provider.lexicalVector(of: $0, dimension: dimension) ?? [] }
        }
    }

    /// How long the vectors of a provider are: what was asked for where any is possible, else the only one there is. Loads a model, so that a
    /// collection that could not be embedded is not made.
    ///
    /// Throws `embedding.wrong_dimension` if `wanted` is impossible, and `model.unknown`.
    public func dimension(of provider: EmbeddingProvider, wanted: Int?, deadline: Instant) async throws -> Int {
        guard case .model(let name) = provider else { return wanted ?? EmbeddingProvider.defaultDimension }
        let dimension = try await model(name, deadline: deadline).dimension
        guard wanted == nil || wanted == dimension else { throw Self.wrongDimension(provider, dimension, wanted ?? 0) }
        return dimension
    }

    private func embed(_ texts: [String], with name: String, dimension: Int, deadline: Instant) async throws -> [[Float]] {
        let model = try await model(name, deadline: deadline)
        guard model.dimension == dimension else { throw Self.wrongDimension(.model(name), model.dimension, dimension) }
        return try await inPool(texts, .computed, deadline: deadline) { try model.vectors(of: $0) }
    }

    private func model(_ name: String, deadline: Instant) async throws -> TransformerModel {
        guard let models else { throw ApusError(.modelUnknown, "this node has no store, and so no models", context: ["model": name]) }
        return try await models.model(name, deadline: deadline)
    }

    private static func wrongDimension(_ provider: EmbeddingProvider, _ made: Int, _ wanted: Int) -> ApusError {
        ApusError(
            .embeddingWrongDimension, "'\(provider.name)' makes vectors of \(made) numbers, not of \(wanted)",
            hint: "make the collection with dimension \(made)",
            context: ["field": "dimension", "expected": String(made), "actual": String(wanted)])
    }

    /// Throws `request.too_large` beyond `longestText`, and `request.invalid` if there is nothing in the text to embed.
    public static func check(text: String, field: String, index: Int = 0) throws(ApusError) {
        let context = ["field": field, "index": String(index)]
        guard text.utf8.count <= longestText.bytes else {
            throw ApusError(
                .requestTooLarge, "'\(field)' has \(ByteCount(text.utf8.count)); \(longestText) is the most that is embedded",
                hint: "split it into passages, one point each", context: context)
        }
        // Bytes first: mostly the first one decides, and a long blank text must not hold its thread.
        let isBlank =
            !text.utf8.contains { (0x21...0x7E).contains($0) }
            && !text.unicodeScalars.lazy.filter { !$0.isASCII }.contains {
                !$0.properties.isWhitespace && $0.properties.generalCategory != .control
            }
        guard !isBlank else {
            throw ApusError(.requestInvalid, "'\(field)' has nothing in it to embed", context: context)
        }
    }

    /// Most texts, and about the most bytes of text, of one call in the pool, so that searches get their turn in between.
    private struct Portion {
        var texts: Int
        var bytes: Int
        static let hashed = Portion(texts: 1024, bytes: 1 << 20)
        /// Some 50 ms of one core.
        static let computed = Portion(texts: 16, bytes: 2048)
    }

    /// `body` for portions of the texts, in the pool, as many at a time as there are threads.
    private func inPool(
        _ texts: [String], _ most: Portion, deadline: Instant, _ body: @escaping @Sendable ([String]) throws -> [[Float]]
    ) async throws -> [[Float]] {
        var portions: [Range<Int>] = []
        let share = max(1, (texts.count + options.threadsPerSearch - 1) / options.threadsPerSearch)
        var (start, bytes) = (0, 0)
        for (index, text) in texts.enumerated() {
            bytes += text.utf8.count
            guard index + 1 - start >= min(most.texts, share) || bytes >= most.bytes || index + 1 == texts.count else { continue }
            portions.append(start..<index + 1)
            (start, bytes) = (index + 1, 0)
        }
        return try await withThrowingTaskGroup(of: (Int, [[Float]]).self) { group in
            var vectors = [[[Float]]](repeating: [], count: portions.count)
            for (number, portion) in portions.enumerated() {
                if number >= options.threadsPerSearch, let (done, result) = try await group.next() { vectors[done] = result }
                let part = Array(texts[portion])
                group.addTask { [pool] in (number, try await pool.run(deadline: deadline) { try body(part) }) }
            }
            for try await (done, result) in group { vectors[done] = result }
            return vectors.flatMap(\.self)
        }
    }
}
