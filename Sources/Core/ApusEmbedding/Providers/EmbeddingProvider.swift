public import ApusTypes

/// How a text becomes a vector. A collection's configuration names one; the same text gives the same vector on every node and after every
/// restart, because nothing that a provider computes depends on what other texts a node has seen.
public enum EmbeddingProvider: Sendable, Hashable {
    /// Words with BM25's saturation and length normalisation, hashed into a dense vector.
    case bm25(BM25Weighting)
    /// Words with 1 + ln(count), weighted by `TermWeights`, hashed.
    case tfidf(TermWeights)
    /// Words with their counts, hashed.
    case bagOfWords
    /// Parts of words, hashed: finds misspelt and inflected words.
    case characterNGrams(CharacterNGrams)
    /// A transformer whose weights are in the cluster's store, by its name there.
    case model(String)

    /// Of a hashed vector when nobody says: what Vectorizer's clients expect.
    public static let defaultDimension = 512
    /// The model that `minilm` names.
    public static let miniLM = EmbeddingProvider.model("minilm")
    /// What a client may send, except names of other models (`model:NAME`).
    public static let names = ["bm25", "tfidf", "bag_of_words", "char_ngram", "minilm"]

    /// As clients name it.
    public var name: String {
        switch self {
        case .bm25: "bm25"
        case .tfidf: "tfidf"
        case .bagOfWords: "bag_of_words"
        case .characterNGrams: "char_ngram"
        case .model("minilm"): "minilm"
        case .model(let name): "model:" + name
        }
    }

    /// The provider with its default settings. Throws `embedding.unknown`.
    public init(named name: String, field: String = "embedding_provider") throws(ApusError) {
        switch name.lowercased() {
        case "bm25": self = .bm25(BM25Weighting())
        case "tfidf", "tf_idf", "tf-idf": self = .tfidf(TermWeights())
        case "bag_of_words", "bagofwords": self = .bagOfWords
        case "char_ngram", "charngram", "char_ngrams": self = .characterNGrams(CharacterNGrams())
        case "minilm", "all-minilm-l6-v2": self = .miniLM
        case let other where other.hasPrefix("model:"):
            let name = String(name.dropFirst(6))
            try ModelName.check(name, field: field)
            self = .model(name)
        default:
            throw ApusError(
                .embeddingUnknown, "there is no embedding provider '\(name)'",
                hint: "one of \(Self.names.joined(separator: ", ")), or model:NAME for another model that was added with 'apus model add'",
                context: ["field": field])
        }
    }
}

/// The names that models go by: in URLs, in the catalog and on command lines.
public enum ModelName {
    /// Throws `request.invalid`.
    public static func check(_ name: String, field: String) throws(ApusError) {
        let isPlain = name.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains($0)
        }
        guard isPlain, (1...64).contains(name.utf8.count), name.first != ".", name.first != "-" else {
            throw ApusError(
                .requestInvalid, "'\(name)' is no name for a model",
                hint: "1 to 64 of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit",
                context: ["field": field])
        }
    }
}

/// BM25 (Robertson and Walker, 1994) for one text: weight × count × (k1 + 1) / (count + k1 × (1 - b + b × length / average length)).
public struct BM25Weighting: Sendable, Hashable {
    /// How slowly repetitions of a word stop counting.
    public var k1 = 1.5
    /// How much a text's length counts, from 0 to 1.
    public var b = 0.75
    /// Words of an average text. A constant of the collection, not of the texts that it holds: a mean over them would change with each
    /// insert and differ between nodes, and the same text would get another vector.
    public var averageLength = 64.0
    public var weights = TermWeights()

    public init() {}
}

/// What a word counts, in place of an inverse document frequency over a corpus, which would be state of a node.
///
/// A word in `table` counts what it says there; one of the most common English words (`commonWords`, a fixed list) a fifth; any other 1.
/// Whoever has a corpus can compute its idf once and give it to the collection as `table`.
public struct TermWeights: Sendable, Hashable {
    public static let mostWords = 1000
    /// By word, as `Words` gives it: lower case.
    public var table: [String: Double]

    public init(table: [String: Double] = [:]) { self.table = table }
}

/// Sequences of code points inside words, their ends marked.
public struct CharacterNGrams: Sendable, Hashable {
    public static let allowed = 1...8
    public var sizes = 3...5

    public init() {}
}
