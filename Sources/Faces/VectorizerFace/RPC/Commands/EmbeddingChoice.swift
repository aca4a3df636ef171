internal import ApusEmbedding
internal import ApusTypes
internal import ApusVectors

/// Which provider embeds a text when its collection does not say.
enum EmbeddingChoice {
    /// The one that is named, else what Vectorizer's clients expect.
    static func provider(_ model: RPCField?) throws(ApusError) -> EmbeddingProvider {
        try EmbeddingProvider(named: try model?.expectString() ?? "bm25", field: "model")
    }

    /// Of a vector that belongs to no collection.
    static func dimension(of provider: EmbeddingProvider) -> Int {
        if case .model = provider { 384 } else { EmbeddingProvider.defaultDimension }
    }
}

extension RPCCall {
    /// The collection that the first argument names; made if there is none, as a client that sends texts expects.
    func collectionForTexts(_ arguments: RPCArguments) async throws -> CollectionDescription {
        do { return try await collection(arguments) } catch let error as ApusError where error.code == .collectionUnknown {
            let name = try collectionName(arguments.required(0, "collection").expectString())
            var configuration = CollectionConfiguration(dimension: EmbeddingProvider.defaultDimension, sharding: face.options.sharding)
            configuration.embedding = try EmbeddingChoice.provider(nil)
            do { return try await face.createCollection(name, configuration, deadline: deadline) } catch let error as ApusError
                where error.code == .collectionExists
            {
                return try await collection(arguments)  // another call has just made it
            }
        }
    }
}

extension RPCField {
    /// A text that can be embedded: one that cannot must not take the others of its batch with it.
    func expectText() throws(ApusError) -> String {
        let text = try expectString()
        guard text.utf8.count <= VectorService.longestText.bytes else {
            throw .invalid(path, "it has \(ByteCount(text.utf8.count)), and \(VectorService.longestText) is the most that is embedded")
        }
        guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace && $0.properties.generalCategory != .control }) else {
            throw .invalid(path, "it has nothing in it to embed")
        }
        return text
    }
}
