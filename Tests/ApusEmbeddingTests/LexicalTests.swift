import ApusTypes
import TestKit
import Testing

@testable import ApusEmbedding

@Suite("lexical embedding", .computing)
struct LexicalTests {
    static let providers = ["bm25", "tfidf", "bag_of_words", "char_ngram"]

    static func vector(_ provider: String, _ text: String, dimension: Int = 512) throws -> [Float] {
        try #require(try EmbeddingProvider(named: provider).lexicalVector(of: text, dimension: dimension))
    }

    static func cosine(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

    @Test("vectors have the dimension asked for and length 1", arguments: providers, [1, 3, 64, 512, 65_536])
    func shape(provider: String, dimension: Int) throws {
        let vector = try Self.vector(provider, "the common swift sleeps on the wing", dimension: dimension)
        #expect(vector.count == dimension)
        let square = Self.cosine(vector, vector)
        #expect(abs(square - 1) < 1e-5)
    }

    /// If one of these changes, collections that were written before hold other vectors than those that are searched for.
    @Test(
        "vectors are the same for ever: their digests, taken when they were defined",
        arguments: [
            ("bm25", "c816906ca1cc4aa2"), ("tfidf", "f1ead88ab0b48a5e"), ("bag_of_words", "ce4e5240e8f085a1"),
            ("char_ngram", "75f8925701d71d3a"),
        ])
    func stability(provider: String, digest: String) throws {
        let texts = ["A swift, the Common Swift; swifts!", "Über den Wolken 空の鳥 naïve", "x"]
        let bytes = try texts.flatMap {
            try Self.vector(provider, $0).flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init) }
        }
        #expect(Digest(of: bytes).description.prefix(16) == digest)
    }

    @Test("texts that share words are nearer than those that do not", arguments: providers)
    func nearness(provider: String) throws {
        let query = try Self.vector(provider, "birds that sleep while flying")
        let near = try Self.vector(provider, "some birds sleep while they are flying over the sea")
        let far = try Self.vector(provider, "a database keeps rows in pages")
        #expect(Self.cosine(query, near) > Self.cosine(query, far) + 0.2)
    }

    @Test("character n-grams find misspelt words, words do not")
    func misspelling() throws {
        let (right, wrong) = ("embedding", "embeding")
        #expect(Self.cosine(try Self.vector("char_ngram", right), try Self.vector("char_ngram", wrong)) > 0.5)
        #expect(abs(Self.cosine(try Self.vector("bm25", right), try Self.vector("bm25", wrong))) < 0.1)
    }

    @Test("common words count little, and a table of weights rules")
    func weights() throws {
        let common = try Self.vector("bm25", "the swift")
        let rare = try Self.vector("bm25", "swift")
        #expect(Self.cosine(common, rare) > 0.95)
        var weighting = BM25Weighting()
        weighting.weights.table["the"] = 1
        let even = try #require(EmbeddingProvider.bm25(weighting).lexicalVector(of: "the swift", dimension: 512))
        #expect(Self.cosine(even, rare) < 0.75)
    }

    @Test("repetitions saturate with bm25 and k1, and length counts with b")
    func saturation() throws {
        func share(_ k1: Double, _ text: String, b: Double = 0) throws -> Float {
            var weighting = BM25Weighting()
            (weighting.k1, weighting.b) = (k1, b)
            let vector = try #require(EmbeddingProvider.bm25(weighting).lexicalVector(of: text, dimension: 4096))
            return Self.cosine(vector, try Self.vector("bm25", "swift", dimension: 4096))
        }
        let text = "swift swift swift swift bird"
        #expect(try share(0, text) < share(1.5, text))
        #expect(try share(1.5, text) < share(50, text))
        // Five words are few against 64, so with b the repetitions saturate sooner.
        #expect(try share(1.5, text, b: 1) < share(1.5, text, b: 0))
    }

    @Test("words are folded, composed and split alike")
    func words() {
        #expect(Words.all(in: "Hello, WORLD-wide 42x") == ["hello", "world", "wide", "42x"])
        #expect(
            Words.all(in: "caf\u{e9} cafe\u{301}").map { Array($0.unicodeScalars) }
                == Words.all(in: "CAFÉ café").map { Array($0.unicodeScalars) })
        #expect(Words.all(in: "日本語 かな") == ["日", "本", "語", "かな"])
        #expect(Words.all(in: "!? ++") == ["!?", "++"])
        #expect(Words.all(in: " \n\u{0}").isEmpty)
    }

    @Test("providers are read from names and objects, and written as they are read")
    func json() throws {
        for text in [
            #"{"provider":"bm25","k1":1.2,"b":0.5,"average_length":20.0,"weights":{"apus":3.0}}"#,
            #"{"provider":"char_ngram","min":2,"max":4}"#,
            #"{"provider":"tfidf"}"#, #"{"provider":"bag_of_words"}"#, #"{"provider":"minilm"}"#, #"{"provider":"model:other-1"}"#,
        ] {
            #expect(try EmbeddingProvider(json: JSONValue(parsing: Array(text.utf8))).json.description == text)
        }
        #expect(try EmbeddingProvider(json: "minilm") == .miniLM)
    }

    @Test(
        "bad settings are named",
        arguments: [
            (#""svd""#, "embedding_provider", "embedding.unknown"),
            (#"{"provider":"bm25","k2":1}"#, "embedding_provider.k2", "request.invalid"),
            (#"{"provider":"bm25","k1":-1}"#, "embedding_provider.k1", "request.invalid"),
            (#"{"provider":"tfidf","weights":{"two words":1}}"#, "embedding_provider.weights.two words", "request.invalid"),
            (#"{"provider":"char_ngram","max":9}"#, "embedding_provider.max", "request.invalid"),
            (#"{"k1":1}"#, "embedding_provider.provider", "request.invalid"),
            (#""model:../x""#, "embedding_provider", "request.invalid"), ("7", "embedding_provider", "request.invalid"),
        ])
    func badSettings(json: String, field: String, code: String) throws {
        let error = try #require(throws: ApusError.self) { try EmbeddingProvider(json: JSONValue(parsing: Array(json.utf8))) }
        #expect(error.code.rawValue == code)
        #expect(error.context["field"] == field)
    }
}
