import ApusTypes
import Foundation

/// Rows of float16, as NumPy files of one version hold them.
struct Vectors: Sendable {
    struct Files {
        var points, payloads, queries: String
        var neighbours: String?

        /// Those of `folder`, else made-up ones in `place`.
        init(of folder: String?, orIn place: String) throws {
            let place = folder ?? place
            points = place + "/points.f16.npy"
            payloads = place + "/points.jsonl"
            queries = place + "/queries.f16.npy"
            let known = place + "/neighbours.i32.npy"
            neighbours = FileManager.default.fileExists(atPath: known) ? known : nil
            guard folder == nil else { return }
            var random = SystemRandomNumberGenerator()
            for (path, rows) in [(points, 100_000), (queries, 200)] {
                var bytes = Vectors.header("<f2", rows: rows, columns: 384)
                for _ in 0..<rows * 384 {
                    withUnsafeBytes(of: Float16.random(in: -1...1, using: &random)) { bytes.append(contentsOf: $0) }
                }
                try bytes.write(to: URL(fileURLWithPath: path))
            }
            let lines = (0..<100_000).map { "{\"id\": \($0), \"kind\": \"made up\", \"text\": \"point number \($0) of a benchmark\"}\n" }
            try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: payloads))
        }
    }

    let count: Int
    let dimension: Int
    let values: [Float]

    var indices: Range<Int> { 0..<count }

    init(count: Int, dimension: Int, values: [Float]) {
        self.count = count
        self.dimension = dimension
        self.values = values
    }

    init(float16 path: String) throws {
        let (rows, columns, data) = try Self.read(path)
        count = rows
        dimension = columns
        values = data.withUnsafeBytes { $0.bindMemory(to: Float16.self).map(Float.init) }
    }

    subscript(row: Int) -> [Float] { Array(values[row * dimension..<(row + 1) * dimension]) }

    func dot(_ row: Int, _ query: [Float]) -> Double {
        guard row < count else { return -.infinity }
        var sum = 0.0
        for column in 0..<dimension { sum += Double(values[row * dimension + column]) * Double(query[column]) }
        return sum
    }

    /// By comparing all.
    func nearest(to query: [Float], _ limit: Int) -> [Int] {
        let scores = indices.map { (dot($0, query), $0) }
        return scores.sorted { $0.0 > $1.0 }.prefix(limit).map(\.1)
    }

    static func rows(_ path: String) throws -> [[Int]] {
        let (_, columns, data) = try read(path)
        let numbers = data.withUnsafeBytes { $0.bindMemory(to: Int32.self).map { Int($0) } }
        return stride(from: 0, to: numbers.count, by: columns).map { Array(numbers[$0..<$0 + columns]) }
    }

    private static func read(_ path: String) throws -> (rows: Int, columns: Int, Data) {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let start = 10 + Int(data[8]) + Int(data[9]) << 8
        let header = String(decoding: data[10..<start], as: UTF8.self)
        let shape = header.split(separator: "(").last?.split(separator: ")").first?.split(separator: ",").compactMap {
            Int($0.trimmingCharacters(in: .whitespaces))
        }
        guard let shape, shape.count == 2 else { throw ApusError(.inputInvalid, "\(path) has no shape of two dimensions") }
        return (shape[0], shape[1], Data(data[start...]))
    }

    private static func header(_ type: String, rows: Int, columns: Int) -> Data {
        let text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
        let padded = text + String(repeating: " ", count: 128 - 10 - text.count - 1) + "\n"
        return Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(padded.utf8.count), 0] + Array(padded.utf8))
    }
}
