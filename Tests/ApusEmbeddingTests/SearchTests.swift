import Testing

@testable import ApusEmbedding

@Suite("search by words")
struct WordSearchTests {
    static func count(_ query: LexicalQuery, _ text: String) -> (words: Int, counts: [UInt32]) {
        var counts = [UInt32](repeating: 0, count: query.words)
        var text = text
        let words = text.withUTF8 { query.count(in: UnsafeRawBufferPointer($0), into: &counts) }
        return (words, counts)
    }

    @Test(
        "words are counted as the tokenizer cuts them, by the fast way and the slow one",
        arguments: ["The swift, a SWIFT; swifts", "swift", "", "Über swift straße", "swift 42 42nd", "…swift…", "!!", "a\tb\nswift "])
    func counting(text: String) {
        let query = LexicalQuery("Swift the 42 über !!")
        let (words, counts) = Self.count(query, text)
        let all = Words.all(in: text)
        #expect(words == all.count)
        #expect(counts == ["swift", "the", "42", "über"].map { word in UInt32(all.count { $0 == word }) })
    }

    @Test("scores are BM25's, computed in the plain way")
    func scores() {
        let texts = ["swift bird swift", "bird", "a long text about a bird and much else", "nothing of it"]
        let query = LexicalQuery("swift bird")
        var matches = LexicalMatches<Int>(query)
        for (index, text) in texts.enumerated() {
            let (words, counts) = Self.count(query, text)
            matches.add(index, length: words, counts: counts) { true }
        }
        let scored = matches.scored(matches.collected)
        #expect(scored.map(\.place) == [0, 1, 2])
        let average = Double(texts.reduce(0) { $0 + Words.all(in: $1).count }) / 4
        func score(_ counts: [(count: Double, frequency: Double)], length: Double) -> Double {
            counts.reduce(0) { sum, word in
                let weight = logarithm(1 + (4 - word.frequency + 0.5) / (word.frequency + 0.5))
                return sum + weight * word.count * 2.5 / (word.count + 1.5 * (0.25 + 0.75 * length / average))
            }
        }
        #expect(abs(scored[0].score - score([(2, 1), (1, 3)], length: 3)) < 1e-12)
        #expect(abs(scored[1].score - score([(1, 3)], length: 1)) < 1e-12)
        #expect(scored[1].score > scored[2].score)
    }

    @Test("the parts of several shards score as the whole does; what a filter leaves out still counts in the frequencies")
    func parts() {
        let texts = (0..<40).map { "swift \($0 % 3 == 0 ? "bird" : "stone") \($0 % 7 == 0 ? "wing wing" : "")" }
        let query = LexicalQuery("bird wing")
        var whole = LexicalMatches<Int>(query)
        var parts = [LexicalMatches<Int>](repeating: LexicalMatches(query), count: 3)
        var filtered = LexicalMatches<Int>(query)
        for (index, text) in texts.enumerated() {
            let (words, counts) = Self.count(query, text)
            whole.add(index, length: words, counts: counts) { true }
            parts[index % 3].add(index, length: words, counts: counts) { true }
            filtered.add(index, length: words, counts: counts) { index < 20 }
        }
        let statistics = parts.map(\.collected).reduce(LexicalMatches<Int>(query).collected) { $0 + $1 }
        #expect(statistics == whole.collected && statistics.texts == 40)
        let expected = whole.scored(statistics).map(\.score)
        var found: [Int: Double] = [:]
        for part in parts { for (place, score) in part.scored(statistics) { found[place] = score } }
        #expect(whole.scored(statistics).map { found[$0.place] } == expected)
        #expect(filtered.collected == whole.collected)
        #expect(filtered.scored(statistics).map(\.score) == whole.scored(statistics).filter { $0.place < 20 }.map(\.score))
    }

    @Test("reciprocal rank fusion adds 1 / (60 + rank), and ties go by id")
    func reciprocal() {
        let fused = RankFusion.reciprocal().fuse(dense: [("a", 0.9), ("b", 0.8), ("c", 0.1)], lexical: [("c", 7), ("d", 5), ("a", 1)])
        #expect(fused.map(\.id) == ["a", "c", "b", "d"])
        #expect(fused[0].score == 1.0 / 61 + 1.0 / 63 && fused[1].score == 1.0 / 63 + 1.0 / 61)
        #expect(fused[2].score == 1.0 / 62 && fused[3].score == 1.0 / 62)
    }

    @Test("weighted fusion spreads the scores, blending divides them by the greatest")
    func weighted() {
        let dense: [(id: String, score: Double)] = [("a", 0.9), ("b", 0.5), ("c", 0.1)]
        let lexical: [(id: String, score: Double)] = [("c", 8), ("b", 4)]
        let weighted = RankFusion.weighted(alpha: 0.75).fuse(dense: dense, lexical: lexical)
        #expect(weighted.map(\.id) == ["a", "b", "c"] && weighted.map(\.score) == [0.75, 0.375, 0.25])
        let blended = RankFusion.blended(alpha: 0.5).fuse(dense: dense, lexical: lexical)
        #expect(blended.map(\.id) == ["c", "b", "a"])
        #expect(abs(blended[0].score - (0.5 / 9 + 0.5)) < 1e-12)
        // Of equal scores all are the greatest; of none there is nothing.
        #expect(RankFusion.weighted(alpha: 1).fuse(dense: [("b", 2.0), ("a", 2.0)], lexical: []).map(\.id) == ["a", "b"])
        #expect(RankFusion.reciprocal().fuse(dense: [(id: Int, score: Double)](), lexical: []).isEmpty)
        #expect(RankFusion.blended(alpha: 1).fuse(dense: [("a", -1.0)], lexical: [])[0].score == 0)
    }
}
