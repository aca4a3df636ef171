import ApusTypes
import Glibc
import TestKit
import Testing

@testable import ApusVectorIndex

/// `Samples/format-1.segment` and `-2` were written by the last programs that wrote those formats: 60 points by `point(_:)`, a graph from 10
/// vectors on.
@Suite("segments of the format before", .computing)
struct OldFormatTests {
    static let fields = [VectorField("dense", .dense(dimension: 4, .cosine)), VectorField("words", .sparse(idf: false))]

    /// What the sample's points are made of.
    static func point(_ number: Int) -> (id: PointID, vectors: [VectorValue?], payload: [UInt8]?) {
        let dense = VectorValue.dense([Float(number % 7) - 3, Float(number % 5) - 2, Float(number), 1])
        let sparse = VectorValue.sparse(SparseVector(indices: [UInt32(number % 6), 7 + UInt32(number % 4)], values: [1, Float(number)]))
        let payload =
            #"{"kind":"k\#(number % 3)","n":\#(number),"tags":["a","t\#(number % 4)"],"at":{"day":"2026-11-\#(10 + number % 20)"}}"#
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

    static func sample(_ format: Int) throws -> [UInt8] {
        let path = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/Samples/format-\(format).segment"
        let file = try #require(fopen(path, "r"), "the sample is there")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[..<count] }
        return bytes
    }

    @Test(
        "a segment of an older format is opened, searched and filtered, and what is merged of it has the format of now", arguments: [1, 2])
    func opens(format: Int) throws {
        let bytes = try Self.sample(format)
        #expect(Int(bytes[8]) == format)
        let old = try SegmentLab.open(bytes, ObjectKey(high: 1, low: 1), Self.fields)
        #expect(
            old.payloadIndexes.count == (format == 1 ? 0 : 4) && old.field(0).graph != nil && old.field(0).fineCodes?.coding.kind == .half)
        let table = PointTable(Self.fields, segments: [old], moment: 60)
        let original = Self.table()
        #expect(SegmentTests.contents(table.snapshot()) == SegmentTests.contents(original.snapshot()) && table.count == 60)
        let filters: [Filter] = [
            .everything, .equals(PayloadPath("kind"), .string("k1")), .range(PayloadPath("n"), .init(atLeast: 20)),
            .equals(PayloadPath("tags"), .string("t2")), .isEmpty(PayloadPath("kind")), .hasVector("words"),
        ]
        func expectSame(_ table: PointTable) {
            for filter in filters {
                let found = table.snapshot().firstRows(100, from: nil, filter: filter).map(\.id)
                #expect(Set(found) == Set(original.snapshot().firstRows(100, from: nil, filter: filter).map(\.id)) && !found.isEmpty)
                for (field, vector) in [(0, Self.point(31).vectors[0]), (1, Self.point(31).vectors[1])] {
                    let query = NeighbourQuery(vector: vector ?? .dense([]), limit: 60, filter: filter)
                    #expect(
                        SnapshotIndex(table.snapshot(), field: field).neighbours(of: query, part: 0, of: 1).map(\.score)
                            == SnapshotIndex(original.snapshot(), field: field).neighbours(of: query, part: 0, of: 1).map(\.score))
                }
            }
            let near = NeighbourQuery(vector: .dense([1, 0, 31, 1]), limit: 5, isExact: false)
            #expect(SnapshotIndex(table.snapshot()).neighbours(of: near, part: 0, of: 1).count == 5)
        }
        expectSame(table)
        let merged = SegmentLab.bytes(SealPlan(merging: [old.key], of: table.snapshot(), asOf: 60), asOf: 60)
        #expect(merged[8] == UInt8(SegmentFormat.version))
        let new = try SegmentLab.open(merged, ObjectKey(high: 1, low: 2), Self.fields)
        #expect(new.payloadIndexes.count == 4)
        expectSame(PointTable(Self.fields, segments: [new], moment: 60))
    }

    @Test("formats to come are refused by their number")
    func newer() throws {
        var bytes = try Self.sample(2)
        bytes[8] = UInt8(SegmentFormat.version) + 1
        let error = #expect(throws: ApusError.self) { try SegmentLab.open(bytes, ObjectKey(high: 1, low: 1), Self.fields) }
        #expect(error?.code == .segmentUnsupported && error?.summary.contains("format \(SegmentFormat.version + 1)") == true)
    }
}
