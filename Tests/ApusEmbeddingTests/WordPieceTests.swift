import ApusTypes
import EmbeddingTestKit
import TestKit
import Testing

@testable import ApusEmbedding

@Suite("word pieces", .computing)
struct WordPieceTests {
    /// Ids as the `tokenizers` library gives them for this vocabulary.
    @Test(
        "texts are cut as BERT's tokenizer cuts them",
        arguments: [
            ("The quick brown fox.", "the quick brown fox ."), ("unaffable", "una ##ffa ##ble"), ("HELLO, World!", "hello , world !"),
            ("Crème Brûlée", "cr ##eme br ##ule ##e"), ("don't", "don ' t"), ("日本語", "日 本 語"), ("a\u{0}b\u{200B}c", "abc"),
            ("tab\tand\nline\u{A0}end", "tab and line end"), ("[SEP]", "[ sep ]"), ("$5.00+", "$ 5 . 00 +"), ("naïve café", "naive cafe"),
            ("\u{41}\u{30A}", "a"), ("«quoted»", "« quoted »"), ("ﬁne", "ﬁ ##ne"), ("", ""), ("   ", ""),
        ])
    func cuts(text: String, pieces: String) throws {
        let package = try MiniLM.files().packageHeader().package
        let names = String(decoding: try MiniLM.file("vocab.txt"), as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        let found = package.tokenizer.pieces(of: text, limit: 256).map { String(names[Int($0)]) }
        #expect(found == ["[CLS]"] + pieces.split(separator: " ").map(String.init) + ["[SEP]"])
    }

    static let tiny = Array("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##a\nab\n##b\nc\n.".utf8)

    @Test("the longest piece wins, and a word that cannot be cut to its end is unknown")
    func longest() throws {
        let tokenizer = try WordPiece(vocabulary: Self.tiny, lowercases: true)
        #expect(tokenizer.pieces(of: "ab", limit: 9) == [2, 6, 3])
        #expect(tokenizer.pieces(of: "aba", limit: 9) == [2, 6, 5, 3])
        #expect(tokenizer.pieces(of: "abx", limit: 9) == [2, 1, 3])
        #expect(tokenizer.pieces(of: "ca", limit: 9) == [2, 8, 5, 3])
        #expect(tokenizer.pieces(of: "cc", limit: 9) == [2, 1, 3])
        // Beyond 100 characters no word is cut.
        #expect(tokenizer.pieces(of: String(repeating: "a", count: 100), limit: 200).count == 102)
        #expect(tokenizer.pieces(of: String(repeating: "a", count: 101), limit: 200) == [2, 1, 3])
    }

    @Test("what is beyond the limit is cut off, and the end stays")
    func limit() throws {
        let tokenizer = try WordPiece(vocabulary: Self.tiny, lowercases: true)
        #expect(tokenizer.pieces(of: "a a a a a", limit: 4) == [2, 4, 4, 3])
        #expect(tokenizer.pieces(of: "aaaa é", limit: 4) == [2, 4, 5, 3])
    }

    @Test("a vocabulary without the special pieces is refused")
    func incomplete() {
        #expect(throws: ApusError.self) { try WordPiece(vocabulary: Array("a\nb".utf8), lowercases: true) }
        #expect(throws: ApusError.self) { try WordPiece(vocabulary: [], lowercases: true) }
    }

    @Test("case is kept where the model keeps it")
    func cased() throws {
        let vocabulary = Array("[UNK]\n[CLS]\n[SEP]\na\nA\né".utf8)
        #expect(try WordPiece(vocabulary: vocabulary, lowercases: false).pieces(of: "A a é", limit: 9) == [1, 4, 3, 5, 2])
        #expect(try WordPiece(vocabulary: vocabulary, lowercases: true).pieces(of: "A a é", limit: 9) == [1, 3, 3, 0, 2])
    }
}
