import ApusTypes
import CTransformer
import EmbeddingTestKit
import Foundation
import TestKit
import Testing

@testable import ApusEmbedding

@Suite("transformer", .computing)
struct TransformerTests {
    static let levels = TransformerModel.Level.allCases.filter { $0.rawValue <= TransformerModel.bestLevel.rawValue }

    @Test("vectors are those that PyTorch makes, at every level of this processor", arguments: levels)
    func reference(level: TransformerModel.Level) throws {
        let glosses = try MiniLM.glosses(level == TransformerModel.bestLevel ? 1000 : 100)
        let vectors = try MiniLM.model.get().vectors(of: glosses.map(\.text), level: level)
        for (gloss, vector) in zip(glosses, vectors) {
            let products = zip(vector, gloss.vector).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            let length = gloss.vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(products / length >= 0.9999, "\(gloss.text)")
            #expect(abs(vector.reduce(0.0) { $0 + Double($1) * Double($1) } - 1) < 1e-5)
        }
    }

    @Test("a text's vector does not depend on the texts beside it, nor on how many there are")
    func batches() throws {
        let texts = try MiniLM.glosses(120).map(\.text)
        let model = try MiniLM.model.get()
        let together = try model.vectors(of: texts)
        for (index, text) in texts.enumerated() where index % 11 == 0 {
            let alone = try model.vectors(of: [text])[0]
            #expect(zip(alone, together[index]).allSatisfy { abs($0 - $1) < 1e-5 })
        }
        #expect(try model.vectors(of: []).isEmpty)
    }

    @Test("a text that is too long counts as far as it fits")
    func tooLong() throws {
        let model = try MiniLM.model.get()
        let words = Array(repeating: "swift", count: 254)
        let full = try model.vectors(of: [words.joined(separator: " "), (words + ["database"]).joined(separator: " ")])
        #expect(full[0] == full[1])
        #expect(model.package.tokenizer.pieces(of: full.description, limit: 256).count == 256)
        let shorter = try model.vectors(of: [words.dropLast(100).joined(separator: " ")])
        #expect(shorter[0] != full[0])
    }

    @Test("GELU and softmax are those of the mathematics library", arguments: levels)
    func functions(level: TransformerModel.Level) {
        let level = apus_transformer_level(level.rawValue)
        var random = SeededGenerator(seed: 7)
        for count in [1, 3, 15, 16, 17, 100, 1023] {
            let values = (0..<count).map { _ in Float.random(in: -12...12, using: &random) }
            var gelu = values
            #expect(apus_transformer_gelu(level, &gelu, count) == 0)
            for (x, y) in zip(values, gelu) {
                let expected = 0.5 * Double(x) * (1 + erf(Double(x) / 2.0.squareRoot()))
                #expect(abs(Double(y) - expected) < 3e-6, "gelu(\(x))")
            }
            var softmax = values
            #expect(apus_transformer_softmax(level, &softmax, count) == 0)
            let greatest = Double(values.max() ?? 0)
            let sum = values.reduce(0.0) { $0 + exp(Double($1) - greatest) }
            for (x, y) in zip(values, softmax) { #expect(abs(Double(y) - exp(Double(x) - greatest) / sum) < 1e-6) }
        }
        // Far apart: nothing overflows, and what is far below is nothing.
        var extreme: [Float] = [-3e38, 1000, 999, -1e9]
        #expect(apus_transformer_softmax(level, &extreme, 4) == 0)
        #expect(extreme[0] == 0 && extreme[3] == 0 && abs(extreme[1] - 0.7310586) < 1e-6)
    }

    @Test("half floats and bfloat16 are widened exactly")
    func widening() {
        let halves = (0...UInt16.max).filter { $0 & 0x7C00 != 0x7C00 }
        var floats = [Float](repeating: 0, count: halves.count)
        apus_transformer_widen_f16(halves, &floats, halves.count)
        #expect(zip(halves, floats).allSatisfy { Float(Float16(bitPattern: $0)).bitPattern == $1.bitPattern })
        let numbers: [Float] = [0, -0.0, 1, -2.5, 3e38, 1e-40]
        let truncated = numbers.map { UInt16($0.bitPattern >> 16) }
        var back = [Float](repeating: 0, count: numbers.count)
        apus_transformer_widen_bf16(truncated, &back, numbers.count)
        #expect(zip(truncated, back).allSatisfy { UInt32($0) << 16 == $1.bitPattern })
    }

    @Test("a model means the same in float32, float16 and bfloat16, when these hold its weights exactly")
    func precisions() throws {
        let texts = ["a swift", "database of ab .", ""]
        let vectors = try TinyModel.model().vectors(of: texts)
        #expect(try TinyModel.model(.float16).vectors(of: texts) == vectors)
        #expect(try TinyModel.model(.bfloat16).vectors(of: texts) == vectors)
        #expect(vectors[0] != vectors[1])
    }
}
