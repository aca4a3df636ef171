public import ApusTypes

extension EmbeddingProvider {
    /// From a name, or an object with a `provider` and its settings: what the catalog keeps and what clients send.
    ///
    ///     {"provider": "bm25", "k1": 1.2, "b": 0.5, "average_length": 20, "weights": {"apus": 3}}
    ///     {"provider": "char_ngram", "min": 2, "max": 4}
    ///
    /// Throws `embedding.unknown` and `request.invalid`, naming the field. Settings that it does not know are errors: another Apus may mean
    /// other vectors by them.
    public init(json: JSONValue, field: String = "embedding_provider") throws(ApusError) {
        if let name = json.asString {
            self = try EmbeddingProvider(named: name, field: field)
            return
        }
        guard let object = json.asObject else { throw Self.invalid(field, "it is neither a name nor an object") }
        guard let name = (object["provider"] ?? object["name"])?.asString else { throw Self.invalid("\(field).provider", "it is missing") }
        var provider = try EmbeddingProvider(named: name, field: "\(field).provider")
        for (key, value) in object where key != "provider" && key != "name" {
            try provider.set(key, value, field: "\(field).\(key)")
        }
        self = provider
    }

    public var json: JSONValue {
        var object: JSONObject = ["provider": .string(name)]
        func add(_ weights: TermWeights) {
            guard !weights.table.isEmpty else { return }
            object["weights"] = .object(JSONObject(weights.table.sorted { $0.key < $1.key }.map { ($0.key, .double($0.value)) }))
        }
        switch self {
        case .bm25(let bm25):
            object["k1"] = .double(bm25.k1)
            object["b"] = .double(bm25.b)
            object["average_length"] = .double(bm25.averageLength)
            add(bm25.weights)
        case .tfidf(let weights): add(weights)
        case .characterNGrams(let grams):
            object["min"] = .integer(Int64(grams.sizes.lowerBound))
            object["max"] = .integer(Int64(grams.sizes.upperBound))
        case .bagOfWords, .model: break
        }
        return .object(object)
    }

    private mutating func set(_ key: String, _ value: JSONValue, field: String) throws(ApusError) {
        func number(_ range: ClosedRange<Double>) throws(ApusError) -> Double {
            guard let number = value.asDouble, range.contains(number) else {
                throw Self.invalid(field, "it is no number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        switch (self, key) {
        case (.bm25(var bm25), "k1"):
            bm25.k1 = try number(0...100)
            self = .bm25(bm25)
        case (.bm25(var bm25), "b"):
            bm25.b = try number(0...1)
            self = .bm25(bm25)
        case (.bm25(var bm25), "average_length"):
            bm25.averageLength = try number(1...1_000_000)
            self = .bm25(bm25)
        case (.bm25(var bm25), "weights"):
            bm25.weights = try Self.weights(value, field)
            self = .bm25(bm25)
        case (.tfidf, "weights"): self = .tfidf(try Self.weights(value, field))
        case (.characterNGrams(var grams), "min"), (.characterNGrams(var grams), "max"):
            guard let size = value.asInteger.flatMap({ Int(exactly: $0) }), CharacterNGrams.allowed.contains(size) else {
                throw Self.invalid(field, "it is no integer from 1 to \(CharacterNGrams.allowed.upperBound)")
            }
            // The other end gives way, so that the order of the two does not matter.
            grams.sizes =
                key == "min" ? size...max(size, grams.sizes.upperBound) : min(size, grams.sizes.lowerBound)...size
            self = .characterNGrams(grams)
        default: throw Self.invalid(field, "the provider '\(name)' has no such setting")
        }
    }

    private static func weights(_ value: JSONValue, _ field: String) throws(ApusError) -> TermWeights {
        guard let object = value.asObject, object.count <= TermWeights.mostWords else {
            throw invalid(field, "it is no object of at most \(TermWeights.mostWords) words")
        }
        var table: [String: Double] = [:]
        for (word, weight) in object {
            guard let weight = weight.asDouble, (0...1000).contains(weight) else {
                throw invalid("\(field).\(word)", "it is no number from 0 to 1000")
            }
            let words = Words.all(in: word)
            guard words.count == 1 else { throw invalid("\(field).\(word)", "it is not one word") }
            table[words[0]] = weight
        }
        return TermWeights(table: table)
    }

    private static func invalid(_ field: String, _ reason: String) -> ApusError {
        ApusError(.requestInvalid, "Invalid \(field): \(reason)", context: ["field": field, "reason": reason])
    }
}
