import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex

/// `Samples/format-1.segment` was written by the last program that wrote format 1: 60 points by `point(_:)`, a graph from 10 vectors on.
@Suite("segments of the format before", .computing)
struct OldFormatTests {
    static let fields = [VectorField("dense", .dense(dimension: 4, .cosine)), VectorField("words", .sparse(idf: false))]

    /// What the sample's points are made of.
    static func point(_ number: Int) -> (id: PointID, vectors: [VectorValue?], payload: [UInt8]?) {
        let dense = VectorValue.dense([Float(number % 7) - 3, Float(number % 5) - 2, Float(number), 1])
        let sparse = VectorValue.sparse(SparseVector(indices: [UInt32(number % 6), 7 + UInt32(number % 4)], values: [1, Float(number)]))
        let payload = #"{"kind":"k\#(number % 3)","n":\#(number),"tags":["a","t\#(number % 4)"],"at":{"day":"2026-11-\#(10 + number % 20)"}}"#
        return (
            number % 2 == 0 ? .integer(UInt64(number)) : .uuid(high: UInt64(number), low: 9), [dense, number % 3 == 0 ? nil : sparse],
            number % 10 == 9 ? nil : Array(payload.utf8)
        )
    }

    static func table() -> PointTable {
        let table = PointTable(fields)
        for number in 0..<60 {
            let (id, vectors, payload) = point(number)
            let bytes = vectors.map { $0?.bytes }
            table.apply(at: Int64(number) + 1) { writer in
                // Arrays of bytes do not move while this holds them.
                func value(_ field: Int) -> UnsafeRawBufferPointer? { bytes[field]?.withUnsafeBytes { $0 } }
                guard let payload else { return writer.upsert(id, payload: nil, value: value) }
                payload.withUnsafeBytes { writer.upsert(id, payload: $0, value: value) }
            }
        }
        return table
    }
}
