internal import ApusEmbedding
internal import ApusTypes
internal import ApusVectors

extension RPCCall {
    /// The collection that the first argument names; made if there is none, as a client that sends texts expects.
    func collectionForTexts(_ arguments: RPCArguments) async throws -> CollectionDescription {
        do { return try await collection(arguments) } catch let error as ApusError where error.code == .collectionUnknown {
            let name = try collectionName(arguments.required(0, "collection").expectString())
            var configuration = CollectionConfiguration(dimension: EmbeddingProvider.defaultDimension, sharding: face.options.sharding)
            configuration.embedding = try EmbeddingProvider(named: "bm25")
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
        try VectorService.check(text: text, field: path)
        return text
    }
}
