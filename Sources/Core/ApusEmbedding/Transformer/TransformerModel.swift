public import ApusTypes
internal import CTransformer

/// A BERT model ready to compute: its layers packed for the processor, its tables of embeddings where the file's bytes are.
public final class TransformerModel: Sendable {
    /// Implementations, weakest first.
    public enum Level: UInt32, Sendable, CaseIterable {
        case portable = 0
        case avx2 = 1
        case avx512 = 2
    }

    /// The strongest of this processor.
    public static let bestLevel = Level(rawValue: apus_transformer_best_level().rawValue) ?? .portable

    public let package: ModelPackage
    /// Immutable since `init`; freed once, by `deinit`.
    private nonisolated(unsafe) let bert: OpaquePointer
    /// Keeps the file's bytes, of which the tables are read.
    private let owner: any Sendable
    /// Tables that were widened to float32.
    private let widened: Widened

    /// Tokens of one pass: as many as keep the passes' memory (16 MB for MiniLM) near the processor.
    private static let tokensAtOnce = 512

    /// Takes some 0.1 s. `owner` keeps `file` valid. Throws `model.invalid`, and `node.overloaded` without memory.
    public init(file: UnsafeRawBufferPointer, keeping owner: any Sendable) throws(ApusError) {
        let tensors = try Safetensors(file: file)
        let package = try ModelPackage(tensors)
        let widened = Widened()
        func pointer(_ name: String) -> UnsafeRawPointer? {
            guard let tensor = tensors.tensors[package.prefix + name] else { return nil }
            let bytes = UnsafeRawBufferPointer(
                rebasing: file[(tensors.dataStart + tensor.range.lowerBound)..<(tensors.dataStart + tensor.range.upperBound)])
            return tensor.kind == .float32 ? bytes.baseAddress : widened.add(bytes, tensor)
        }
        func linear(_ name: String) -> apus_bert_linear {
            apus_bert_linear(weight: pointer("\(name).weight"), bias: pointer("\(name).bias"))
        }
        func norm(_ name: String) -> apus_bert_norm { apus_bert_norm(weight: pointer("\(name).weight"), bias: pointer("\(name).bias")) }

        let shape = package.shape
        var cShape = apus_bert_shape(
            layers: shape.layers, hidden: shape.hidden, heads: shape.heads, intermediate: shape.intermediate, epsilon: Float(shape.epsilon))
        let type = pointer(ModelPackage.kinds) ?? widened.zeros(shape.hidden)
        var embeddings = apus_bert_embeddings(
            words: pointer("embeddings.word_embeddings.weight"), positions: pointer("embeddings.position_embeddings.weight"), type: type,
            norm: norm("embeddings.LayerNorm"))
        let layers = (0..<shape.layers).map { number in
            let layer = "encoder.layer.\(number)"
            return apus_bert_layer(
                query: linear("\(layer).attention.self.query"), key: linear("\(layer).attention.self.key"),
                value: linear("\(layer).attention.self.value"), output: linear("\(layer).attention.output.dense"),
                up: linear("\(layer).intermediate.dense"), down: linear("\(layer).output.dense"),
                attention_norm: norm("\(layer).attention.output.LayerNorm"), norm: norm("\(layer).output.LayerNorm"))
        }
        guard let bert = apus_bert_create(&cShape, &embeddings, layers) else {
            throw ApusError(.overloaded, "there is no memory for a model of \(ByteCount(apus_bert_memory(&cShape)))")
        }
        self.bert = bert
        self.package = package
        self.owner = owner
        self.widened = widened
    }

    deinit { apus_bert_free(bert) }

    /// Numbers in a vector.
    public var dimension: Int { package.shape.hidden }

    /// The vectors of texts, of length 1. Texts beyond `package.longestText` pieces are cut off. Runs on the caller's thread.
    public func vectors(of texts: [String], level: Level = bestLevel) throws(ApusError) -> [[Float]] {
        var vectors: [[Float]] = []
        vectors.reserveCapacity(texts.count)
        var tokens: [Int32] = []
        var lengths: [UInt32] = []
        for (index, text) in texts.enumerated() {
            let pieces = package.tokenizer.pieces(of: text, limit: package.longestText)
            tokens += pieces
            lengths.append(UInt32(pieces.count))
            guard tokens.count >= Self.tokensAtOnce || index == texts.count - 1 else { continue }
            let dimension = dimension
            var numbers = [Float](repeating: 0, count: lengths.count * dimension)
            guard apus_bert_encode(bert, apus_transformer_level(level.rawValue), tokens, lengths, lengths.count, &numbers) == 0 else {
                throw ApusError(.overloaded, "there is no memory to embed texts, or the processor lacks the instructions")
            }
            for text in lengths.indices { vectors.append(Array(numbers[text * dimension..<(text + 1) * dimension])) }
            tokens.removeAll(keepingCapacity: true)
            lengths.removeAll(keepingCapacity: true)
        }
        return vectors
    }

    /// Float32 made of narrower numbers.
    private final class Widened: @unchecked Sendable {  // filled in `init` only, by one thread
        private var buffers: [UnsafeMutablePointer<Float>] = []

        func add(_ bytes: UnsafeRawBufferPointer, _ tensor: Safetensors.Tensor) -> UnsafeRawPointer {
            let floats = zeros(tensor.count)
            let target = UnsafeMutablePointer(mutating: floats.assumingMemoryBound(to: Float.self))
            if tensor.kind == .float16 {
                apus_transformer_widen_f16(bytes.baseAddress, target, tensor.count)
            } else {
                apus_transformer_widen_bf16(bytes.baseAddress, target, tensor.count)
            }
            return floats
        }

        func zeros(_ count: Int) -> UnsafeRawPointer {
            let buffer = UnsafeMutablePointer<Float>.allocate(capacity: count)
            buffer.initialize(repeating: 0, count: count)
            buffers.append(buffer)
            return UnsafeRawPointer(buffer)
        }

        deinit { for buffer in buffers { buffer.deallocate() } }
    }
}
