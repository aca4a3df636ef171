import ApusTypes
import EmbeddingTestKit
import Testing

@testable import ApusEmbedding

@Suite("packages of models")
struct PackageTests {
    @Test("a package is read as it was written, and its tensors begin at a multiple of 64")
    func roundTrip() throws {
        let (header, package) = try MiniLM.files().packageHeader()
        #expect(header.count % 64 == 0)
        let again = try ModelPackage(Safetensors(header: Array(header.dropFirst(8))))
        #expect(again.shape == package.shape && again.longestText == 256 && again.tokenizer.count == 30522)
        #expect(package.shape.hidden == 384 && package.shape.layers == 6 && package.shape.heads == 12)
        #expect(again.tokenizer.pieces(of: "a round trip", limit: 256) == package.tokenizer.pieces(of: "a round trip", limit: 256))
    }

    @Test("tokenizer.json serves where there is no vocab.txt")
    func tokenizerJSON() throws {
        var files = try MiniLM.files()
        files.vocabulary = nil
        let package = try files.packageHeader().package
        #expect(
            package.tokenizer.pieces(of: "unaffable", limit: 9)
                == (try MiniLM.files().packageHeader().package.tokenizer.pieces(of: "unaffable", limit: 9)))
        files.tokenizer = nil
        #expect(throws: ApusError.self) { try files.packageHeader() }
    }

    @Test(
        "what is no BERT of the expected shape is refused, and why is said",
        arguments: [
            (#""model_type": "bert""#, #""model_type": "gpt2""#, "model_type"),
            (#""hidden_act": "gelu""#, #""hidden_act": "relu""#, "hidden_act"),
            (#""num_hidden_layers": 6"#, #""num_hidden_layers": 7"#, "encoder.layer.6"),
            (#""hidden_size": 384"#, #""hidden_size": 256"#, "no multiples of 16"),
            (#""num_attention_heads": 12"#, #""num_attention_heads": 0"#, "num_attention_heads"),
            (#""vocab_size": 30522"#, #""vocab_size": 30523"#, "word_embeddings"),
            (#""vocab_size": 30522"#, #""vocab_size": 100"#, "vocabulary"),
            (#""hidden_size": 384"#, #""hidden_size": 1e30"#, "hidden_size"), ("{", "[", "JSON"),
        ])
    func wrongShape(from: String, to: String, reason: String) throws {
        var files = try MiniLM.files()
        let config = String(decoding: files.config, as: UTF8.self)
        #expect(config.contains(from))
        files.config = Array(config.replacing(from, with: to, maxReplacements: 1).utf8)
        let error = try #require(throws: ApusError.self) { try files.packageHeader() }
        #expect(error.code == .modelInvalid && error.summary.contains(reason), "\(error.summary)")
    }

    @Test("a tensor that is optional is checked too", arguments: [#"[2,32]"#, "[0,32]", "[2,16]", "[64]"])
    func optionalTensor(shape: String) throws {
        let (files, _) = try TinyModel.files()
        var header = try #require(try JSONValue(parsing: files.header).asObject)
        let extents = try JSONValue(parsing: Array(shape.utf8))
        let size = (extents.asArray ?? []).reduce(4) { $0 * ($1.asInteger ?? 0) }
        header["embeddings.token_type_embeddings.weight"] = ["dtype": "F32", "shape": extents, "data_offsets": [0, .integer(size)]]
        var changed = files
        changed.header = JSONValue.object(header).serialized()
        if shape == "[2,32]" {
            _ = try changed.packageHeader()
        } else {
            #expect(throws: ApusError.self) { try changed.packageHeader() }
        }
    }

    @Test("another pooling than the mean is refused")
    func pooling() throws {
        var files = try MiniLM.files()
        files.pooling = Array(#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#.utf8)
        #expect(throws: ApusError.self) { try files.packageHeader() }
    }

    @Test(
        "a damaged header is refused",
        arguments: [
            "", "[]", "{", #"{"a": 1}"#, #"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}"#,
            #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}"#,
            #"{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}"#,
            #"{"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 4]}}"#,
            #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}"#,
            #"{"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}}"#,
            #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [18446744073709551612, 18446744073709551616]}}"#,
            #"{"__metadata__": 1}"#, #"{"a": {"shape": [1], "data_offsets": [0, 4]}}"#,
        ])
    func damagedHeader(json: String) {
        let error = #expect(throws: ApusError.self) { try Safetensors(header: Array(json.utf8)) }
        #expect(error?.code == .modelInvalid)
    }

    @Test("a file that was cut off is refused, wherever it was")
    func cutOff() throws {
        let json = Array(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#.utf8)
        let file = withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json + [UInt8](repeating: 0, count: 8)
        for length in 0...file.count {
            let bytes = MiniLM.Bytes(Array(file.prefix(length)))
            if length == file.count {
                #expect(try Safetensors(file: bytes.bytes).tensors["a"]?.shape == [2])
            } else {
                #expect(throws: ApusError.self) { try Safetensors(file: bytes.bytes) }
            }
        }
        #expect(throws: ApusError.self) { try Safetensors.headerLength([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]) }
    }

    @Test("a package of another format is refused by name")
    func otherFormat() throws {
        let (header, _) = try MiniLM.files().packageHeader()
        let text = String(decoding: header.dropFirst(8), as: UTF8.self).replacing("apus.bert.1", with: "apus.bert.2")
        let error = try #require(throws: ApusError.self) { try ModelPackage(Safetensors(header: Array(text.utf8))) }
        #expect(error.summary.contains("apus.bert.2"))
    }

    /// An archive with one stored file, `a/b` of `hello`.
    static let archive: [UInt8] = {
        func half(_ value: Int) -> [UInt8] { [UInt8(value & 255), UInt8(value >> 8 & 255)] }
        func word(_ value: Int) -> [UInt8] { half(value & 0xFFFF) + half(value >> 16 & 0xFFFF) }
        let name = Array("a/b".utf8), data = Array("hello".utf8), crc = 0x3610_A686
        let middle = half(20) + half(0) + half(0) + word(0) + word(crc) + word(5) + word(5) + half(name.count) + half(0)
        let local = word(0x0403_4B50) + middle + name + data
        let central = word(0x0201_4B50) + half(20) + middle + half(0) + half(0) + half(0) + word(0) + word(0) + name
        let end = word(0x0605_4B50) + half(0) + half(0) + half(1) + half(1) + word(central.count) + word(local.count) + half(0)
        return local + central + end
    }()

    static func contents(_ archive: [UInt8]) throws -> [String: [UInt8]] {
        let place = try ZipDirectory.place(end: Array(archive.suffix(ZipDirectory.longestEnd)), fileSize: archive.count)
        var contents: [String: [UInt8]] = [:]
        for entry in try ZipDirectory(list: Array(archive[place]), fileSize: archive.count).entries {
            let header = Array(archive[entry.header..<min(entry.header + 30, archive.count)])
            contents[entry.name] = Array(archive[try ZipDirectory.data(of: entry, header: header, fileSize: archive.count)])
        }
        return contents
    }

    @Test("an archive's files are found; one that was changed or cut anywhere is read within its bounds or refused")
    func archives() throws {
        #expect(try Self.contents(Self.archive) == ["a/b": Array("hello".utf8)])
        for length in 0..<Self.archive.count { #expect(throws: ApusError.self) { try Self.contents(Array(Self.archive.prefix(length))) } }
        for place in Self.archive.indices {
            for value in [UInt8(0), 0x7F, 0xFF] {
                var changed = Self.archive
                changed[place] = value
                do { _ = try Self.contents(changed) } catch { #expect(error is ApusError) }
            }
        }
    }
}
