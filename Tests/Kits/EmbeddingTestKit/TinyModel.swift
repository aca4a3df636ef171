public import ApusEmbedding
internal import ApusTypes
internal import TestKit

/// A BERT of one layer and 32 numbers with random weights: small enough to be made, uploaded and damaged in every way.
public enum TinyModel {
    public static let dimension = 32
    public static let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##a\nb\n##b\nswift\ndata\n##base\n."
    public static let config = """
        {"model_type": "bert", "hidden_act": "gelu", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 64, "max_position_embeddings": 40, "vocab_size": 12, "layer_norm_eps": 1e-12}
        """

    /// The files, and the tensors' bytes. The weights are numbers that half floats and bfloat16 hold exactly, so that a model means the
    /// same in every `kind`.
    public static func files(_ kind: Safetensors.Kind = .float32, seed: UInt64 = 1) throws -> (files: ModelFiles, weights: [UInt8]) {
        var random = SeededGenerator(seed: seed)
        var header = JSONObject()
        var bytes: [UInt8] = []
        func add(_ name: String, _ shape: [Int]) {
            let start = bytes.count
            for _ in 0..<shape.reduce(1, *) {
                let value = Float(Int.random(in: -64...64, using: &random)) / 64
                switch kind {
                case .float16: bytes += withUnsafeBytes(of: Float16(value).bitPattern.littleEndian, Array.init)
                case .bfloat16: bytes += withUnsafeBytes(of: UInt16(value.bitPattern >> 16).littleEndian, Array.init)
                default: bytes += withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
                }
            }
            header[name] = [
                "dtype": .string(kind.rawValue), "shape": .array(shape.map { .integer(Int64($0)) }),
                "data_offsets": [.integer(Int64(start)), .integer(Int64(bytes.count))],
            ]
        }
        func both(_ name: String, _ shape: [Int]) {
            add("\(name).weight", shape)
            add("\(name).bias", [shape[0]])
        }
        add("embeddings.word_embeddings.weight", [12, 32])
        add("embeddings.position_embeddings.weight", [40, 32])
        add("embeddings.token_type_embeddings.weight", [2, 32])
        both("embeddings.LayerNorm", [32])
        let layer = "encoder.layer.0"
        for part in ["self.query", "self.key", "self.value", "output.dense"] { both("\(layer).attention.\(part)", [32, 32]) }
        both("\(layer).attention.output.LayerNorm", [32])
        both("\(layer).intermediate.dense", [64, 32])
        both("\(layer).output.dense", [32, 64])
        both("\(layer).output.LayerNorm", [32])
        let files = try ModelFiles(header: JSONValue.object(header).serialized()) { (name: String) throws(ApusError) -> [UInt8]? in
            switch name {
            case "config.json": Array(config.utf8)
            case "vocab.txt": Array(vocabulary.utf8)
            default: nil
            }
        }
        return (files, bytes)
    }

    /// What is uploaded.
    public static func package(_ kind: Safetensors.Kind = .float32, seed: UInt64 = 1) throws -> [UInt8] {
        let (files, weights) = try files(kind, seed: seed)
        return try files.packageHeader().bytes + weights
    }

    public static func model(_ kind: Safetensors.Kind = .float32) throws -> TransformerModel {
        let file = MiniLM.Bytes(try package(kind))
        return try TransformerModel(file: file.bytes, keeping: file)
    }
}
