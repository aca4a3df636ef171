public import ApusTypes

/// What a BERT model's `config.json` says of it, as far as its vectors depend on it.
public struct TransformerShape: Sendable, Hashable {
    public var layers: Int
    /// Numbers in a vector.
    public var hidden: Int
    public var heads: Int
    public var intermediate: Int
    public var positions: Int
    public var pieces: Int
    public var epsilon: Double

    /// Throws `model.invalid` for what is no BERT, or one that would be computed differently.
    public init(config: [UInt8]) throws(ApusError) {
        let value: JSONValue
        do { value = try JSONValue(parsing: config) } catch {
            throw Self.invalid("config.json is not JSON (\(error.summary))")
        }
        func size(_ key: String, _ range: ClosedRange<Int>) throws(ApusError) -> Int {
            guard let number = value[key]?.asInteger.flatMap({ Int(exactly: $0) }), range.contains(number) else {
                throw Self.invalid("'\(key)' in config.json is no integer from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        func require(_ key: String, _ expected: String, default fallback: String) throws(ApusError) {
            let found = value[key]?.asString ?? fallback
            guard found == expected else { throw Self.invalid("'\(key)' in config.json is '\(found)'; only '\(expected)' is computed") }
        }
        try require("model_type", "bert", default: "missing")
        try require("hidden_act", "gelu", default: "gelu")
        try require("position_embedding_type", "absolute", default: "absolute")
        layers = try size("num_hidden_layers", 1...48)
        hidden = try size("hidden_size", 16...4096)
        heads = try size("num_attention_heads", 1...256)
        intermediate = try size("intermediate_size", 16...16_384)
        positions = try size("max_position_embeddings", 2...8192)
        pieces = try size("vocab_size", 4...WordPiece.mostPieces)
        epsilon = value["layer_norm_eps"]?.asDouble ?? 1e-12
        guard hidden % heads == 0, (hidden / heads) % 16 == 0, hidden % 16 == 0, intermediate % 16 == 0 else {
            throw Self.invalid("its sizes (\(hidden) in \(heads) heads, \(intermediate)) are no multiples of 16")
        }
        guard (0...0.01).contains(epsilon) else { throw Self.invalid("'layer_norm_eps' in config.json is not from 0 to 0.01") }
    }

    static func invalid(_ reason: String) -> ApusError {
        ApusError(
            .modelInvalid, "the model is not understood: \(reason)", hint: "a sentence-transformers BERT model such as all-MiniLM-L6-v2")
    }
}
