public import ApusEmbedding
internal import ApusTypes
internal import Foundation

/// The model that `scripts/setup --test` has fetched, and glosses with the vectors that PyTorch made of them (Examples/wordnet).
public enum MiniLM {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    public static let directory = root.appending(path: ".deps/models/minilm").path

    struct Missing: Error, CustomStringConvertible {
        var description: String { "\(MiniLM.directory) is not there: run scripts/setup --test" }
    }

    public static func file(_ name: String) throws -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: "\(directory)/\(name)") else { throw Missing() }
        return Array(data)
    }

    /// The model's files, the weights' header among them.
    public static func files() throws -> ModelFiles {
        let weights = try FileHandle(forReadingFrom: URL(fileURLWithPath: "\(directory)/\(ModelFiles.weights)"))
        defer { try? weights.close() }  // read only
        let length = try Safetensors.headerLength(weights.read(upToCount: 8) ?? Data())
        let header = Array(try weights.read(upToCount: length) ?? Data())
        return try ModelFiles(header: header) { name in try? file(name) }
    }

    /// Packed once for all tests.
    public static let model = Result { () throws -> TransformerModel in
        let file = Bytes(try files().packageHeader().bytes + weights())
        return try TransformerModel(file: file.bytes, keeping: file)
    }

    /// The tensors' bytes.
    public static func weights() throws -> [UInt8] {
        let all = try file(ModelFiles.weights)
        return Array(all[(8 + (try Safetensors.headerLength(all)))...])
    }

    /// Memory that stays where it is.
    public final class Bytes: Sendable {
        public nonisolated(unsafe) let bytes: UnsafeRawBufferPointer  // written before it is shared

        public init(_ content: [UInt8]) {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 64)
            buffer.copyBytes(from: content)
            bytes = UnsafeRawBufferPointer(buffer)
        }

        deinit { bytes.deallocate() }
    }

    public static func glosses(_ count: Int) throws -> [(text: String, vector: [Float])] {
        let lines = try String(contentsOf: root.appending(path: "Examples/wordnet/points.jsonl"), encoding: .utf8).split(separator: "\n")
        let vectors = try Data(contentsOf: root.appending(path: "Examples/wordnet/points.f16.npy"))
        let start = vectors.count - lines.count * 384 * 2
        return try (0..<count).map { index in
            let row = index * lines.count / count
            let text = try JSONValue(parsing: Array(lines[row].utf8))["text"]?.asString ?? ""
            let vector = (0..<384).map { column in
                let place = vectors.startIndex + start + (row * 384 + column) * 2
                return Float(Float16(bitPattern: UInt16(vectors[place]) | UInt16(vectors[place + 1]) << 8))
            }
            return (text, vector)
        }
    }
}
