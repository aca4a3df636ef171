public import ApusTypes

/// A model as the cluster's store keeps it: one safetensors file whose metadata holds what else belongs to it, so that it is one immutable
/// object and every tool that reads safetensors reads it.
public struct ModelPackage: Sendable {
    /// Of the tensors and of everything else, by which a reader knows that it understands them.
    static let format = "apus.bert.1"
    public static let mostPieces = 256

    public let shape: TransformerShape
    public let tokenizer: WordPiece
    /// Pieces of a text that count, `[CLS]` and `[SEP]` among them.
    public let longestText: Int
    let tensors: Safetensors
    /// Before `__metadata__`, when other programs than Apus named the tensors of a `BertModel`: empty or `bert.`.
    let prefix: String

    /// From a file's header. Throws `model.invalid`.
    public init(_ tensors: Safetensors) throws(ApusError) {
        let metadata = tensors.metadata
        guard metadata["apus.format"] == Self.format else {
            throw TransformerShape.invalid("its format is '\(metadata["apus.format"] ?? "missing")', not '\(Self.format)'")
        }
        guard let config = metadata["apus.config"], let vocabulary = metadata["apus.vocabulary"],
            let longest = metadata["apus.longest_text"].flatMap({ Int($0) }), let lowercases = metadata["apus.lowercases"]
        else { throw TransformerShape.invalid("a part of its metadata is missing") }
        try self.init(
            tensors: tensors, shape: TransformerShape(config: Array(config.utf8)),
            tokenizer: WordPiece(vocabulary: Array(vocabulary.utf8), lowercases: lowercases == "true"), longestText: longest)
    }

    private init(tensors: Safetensors, shape: TransformerShape, tokenizer: WordPiece, longestText: Int) throws(ApusError) {
        self.tensors = tensors
        self.shape = shape
        self.tokenizer = tokenizer
        self.longestText = longestText
        prefix = tensors.tensors["embeddings.word_embeddings.weight"] == nil ? "bert." : ""
        guard (3...min(Self.mostPieces, shape.positions)).contains(longestText) else {
            throw TransformerShape.invalid("texts of \(longestText) pieces are not from 3 to \(min(Self.mostPieces, shape.positions))")
        }
        guard tokenizer.count <= shape.pieces else {
            throw TransformerShape.invalid("its vocabulary has \(tokenizer.count) pieces, and there are weights for \(shape.pieces)")
        }
        for (name, extents) in self.expected { try check(name, extents) }
        // A model of one kind of sentence has no table for it.
        if let kinds = tensors.tensors[prefix + Self.kinds]?.shape.first {
            guard kinds > 0 else { throw TransformerShape.invalid("'\(Self.kinds)' is empty") }
            try check(Self.kinds, [kinds, shape.hidden])
        }
    }

    private func check(_ name: String, _ extents: [Int]) throws(ApusError) {
        guard let tensor = tensors.tensors[prefix + name] else { throw TransformerShape.invalid("it has no tensor '\(name)'") }
        guard tensor.shape == extents else {
            throw TransformerShape.invalid("'\(name)' has the shape \(tensor.shape), and config.json says \(extents)")
        }
        guard tensor.kind != .other else { throw TransformerShape.invalid("'\(name)' does not hold F32, F16 or BF16") }
    }

    static let kinds = "embeddings.token_type_embeddings.weight"

    /// Every tensor that is needed, and its shape.
    private var expected: [(String, [Int])] {
        let (h, i) = (shape.hidden, shape.intermediate)
        func norm(_ name: String) -> [(String, [Int])] { [("\(name).weight", [h]), ("\(name).bias", [h])] }
        func linear(_ name: String, _ out: Int, _ input: Int) -> [(String, [Int])] {
            [("\(name).weight", [out, input]), ("\(name).bias", [out])]
        }
        var all: [(String, [Int])] = [
            ("embeddings.word_embeddings.weight", [shape.pieces, h]), ("embeddings.position_embeddings.weight", [shape.positions, h]),
        ]
        all += norm("embeddings.LayerNorm")
        for number in 0..<shape.layers {
            let layer = "encoder.layer.\(number)"
            for part in ["query", "key", "value"] { all += linear("\(layer).attention.self.\(part)", h, h) }
            all += linear("\(layer).attention.output.dense", h, h) + norm("\(layer).attention.output.LayerNorm")
            all += linear("\(layer).intermediate.dense", i, h) + linear("\(layer).output.dense", h, i) + norm("\(layer).output.LayerNorm")
        }
        return all
    }
}

/// The files of a model as they are published, by their names in its directory. All but the first two may be missing.
public struct ModelFiles: Sendable {
    public var config: [UInt8]
    /// The header of `model.safetensors`: its JSON.
    public var header: [UInt8]
    public var vocabulary: [UInt8]?
    public var tokenizer: [UInt8]?
    public var tokenizerConfig: [UInt8]?
    public var sentenceConfig: [UInt8]?
    public var pooling: [UInt8]?

    /// What is read of a directory or an archive.
    public static let names = [
        "config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json", "1_Pooling/config.json",
    ]
    public static let weights = "model.safetensors"
    /// Of each file but the weights.
    public static let longestFile: ByteCount = .mebibytes(16)

    /// `read` gives the contents of a file, nil if there is none. Throws `model.invalid`.
    public init<Failure: Error>(header: [UInt8], _ read: (String) throws(Failure) -> [UInt8]?) throws {
        guard let config = try read("config.json") else { throw TransformerShape.invalid("there is no config.json") }
        self.config = config
        self.header = header
        vocabulary = try read("vocab.txt")
        tokenizer = try read("tokenizer.json")
        tokenizerConfig = try read("tokenizer_config.json")
        sentenceConfig = try read("sentence_bert_config.json")
        pooling = try read("1_Pooling/config.json")
    }

    /// The header of the package: the first bytes of the file that the store keeps, which the bytes of the tensors follow unchanged. All
    /// that is checked of a package is checked. Throws `model.invalid`.
    public func packageHeader() throws(ApusError) -> (bytes: [UInt8], package: ModelPackage) {
        func json(_ bytes: [UInt8]?, _ name: String) throws(ApusError) -> JSONValue? {
            guard let bytes else { return nil }
            do { return try JSONValue(parsing: bytes) } catch {
                throw TransformerShape.invalid("\(name) is not JSON (\(error.summary))")
            }
        }
        if let pooling = try json(pooling, "1_Pooling/config.json") {
            guard pooling["pooling_mode_mean_tokens"]?.asBool == true else {
                throw TransformerShape.invalid("1_Pooling/config.json asks for another vector than the mean over the tokens")
            }
        }
        let shape = try TransformerShape(config: config)
        let lowercases = try json(tokenizerConfig, "tokenizer_config.json")?["do_lower_case"]?.asBool ?? true
        let longest = try json(sentenceConfig, "sentence_bert_config.json")?["max_seq_length"]?.asInteger.flatMap { Int(exactly: $0) }
        let pieces: [UInt8] = if let vocabulary { vocabulary } else { try Self.vocabulary(json(tokenizer, "tokenizer.json")) }
        guard let vocabularyText = String(validating: pieces, as: UTF8.self) else {
            throw TransformerShape.invalid("its vocabulary is not UTF-8")
        }
        guard let configText = String(validating: config, as: UTF8.self) else { throw TransformerShape.invalid("config.json is not UTF-8") }
        let metadata: JSONObject = [
            "apus.format": .string(ModelPackage.format), "apus.config": .string(configText), "apus.vocabulary": .string(vocabularyText),
            "apus.longest_text": .string(String(min(longest ?? ModelPackage.mostPieces, ModelPackage.mostPieces, shape.positions))),
            "apus.lowercases": .string(lowercases ? "true" : "false"),
        ]
        let root: JSONValue
        do { root = try JSONValue(parsing: header) } catch { throw Safetensors.invalid("its header is not JSON (\(error.summary))") }
        guard var members = root.asObject else { throw Safetensors.invalid("its header is no object") }
        members["__metadata__"] = .object(metadata)
        var text = JSONValue.object(members).serialized()
        // Spaces up to a multiple of 64, so that the tensors lie as they did.
        text += [UInt8](repeating: UInt8(ascii: " "), count: (64 - (8 + text.count) % 64) % 64)
        guard text.count <= Safetensors.longestHeader.bytes else { throw Safetensors.invalid("its header is too long") }
        let length = withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init)
        return (length + text, try ModelPackage(Safetensors(header: text)))
    }

    /// The pieces of `tokenizer.json` in the order of their ids, a line each.
    private static func vocabulary(_ tokenizer: JSONValue?) throws(ApusError) -> [UInt8] {
        guard let pieces = tokenizer?["model"]?["vocab"]?.asObject else {
            throw TransformerShape.invalid("there is neither a vocab.txt nor a tokenizer.json with a WordPiece vocabulary")
        }
        guard pieces.count <= WordPiece.mostPieces else { throw TransformerShape.invalid("its vocabulary is too large") }
        var lines = [String?](repeating: nil, count: pieces.count)
        for (piece, id) in pieces {
            guard let id = id.asInteger, lines.indices.contains(Int(id)), lines[Int(id)] == nil, !piece.utf8.contains(0x0A) else {
                throw TransformerShape.invalid("the ids in tokenizer.json are not 0 to \(pieces.count - 1)")
            }
            lines[Int(id)] = piece
        }
        return Array(lines.compactMap(\.self).joined(separator: "\n").utf8)
    }
}
