import ApusTypes
import ApusVectorIndex
import TestKit
import Testing

@testable import ApusVectors

@Suite("log operations")
struct ShardOperationTests {
    static func id(_ random: inout SeededGenerator) throws -> PointID {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: .integer(random.next() >> UInt64.random(in: 0..<64, using: &random))
        case 1: .uuid(high: random.next(), low: random.next())
        default: try PointID("point-" + String(random.next() % 1000) + ["", "é", "日本", " ä b"][Int.random(in: 0..<4, using: &random)])
        }
    }

    static func payload(_ random: inout SeededGenerator) -> [UInt8]? {
        Bool.random(using: &random) ? nil : Array(#"{"k":\#(random.next() % 100),"text":"\#(random.next())"}"#.utf8)
    }

    static func operation(_ random: inout SeededGenerator, dimension: Int) throws -> ShardOperation {
        var changes: [ShardOperation.Change] = []
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let ids = try (0..<Int.random(in: 1...20, using: &random)).map { _ in try id(&random) }
            switch Int.random(in: 0..<4, using: &random) {
            case 0: changes.append(.upsert(ids.map { Point(id: $0, vector: random.vector(dimension), payload: payload(&random)) }))
            case 1: changes.append(.delete(ids))
            case 2: changes.append(.setVectors(ids, ids.map { _ in random.vector(dimension) }))
            default:
                let verb = [ShardOperation.PayloadVerb.replace, .merge][Int.random(in: 0..<2, using: &random)]
                changes.append(.changePayloads(verb, ids, ids.map { _ in payload(&random) }))
            }
        }
        return ShardOperation(changes: changes)
    }

    /// The operation that the checked bytes mean.
    static func decoded(_ encoded: EncodedOperation) -> ShardOperation {
        func vector(_ part: EncodedOperation.Part, _ index: Int) -> [Float] {
            encoded.bytes.withUnsafeBytes { bytes in
                (0..<part.dimension).map {
                    bytes.loadUnaligned(fromByteOffset: part.vectors + (index * part.dimension + $0) * 4, as: Float.self)
                }
            }
        }
        return ShardOperation(
            changes: encoded.parts.map { part in
                let payloads = part.payloads.map { $0.map { Array(encoded.bytes[$0]) } }
                switch part.kind {
                case .upsert:
                    return .upsert(part.ids.enumerated().map { Point(id: $1, vector: vector(part, $0), payload: payloads[$0]) })
                case .delete: return .delete(part.ids)
                case .setVectors: return .setVectors(part.ids, part.ids.indices.map { vector(part, $0) })
                case .replacePayloads: return .changePayloads(.replace, part.ids, payloads)
                case .mergePayloads: return .changePayloads(.merge, part.ids, payloads)
                case .removeMembers: return .changePayloads(.remove, part.ids, payloads)
                }
            })
    }

    @Test("what is written is read", arguments: 0..<200)
    func roundTrip(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let dimension = Int.random(in: 1...40, using: &random)
        let operation = try Self.operation(&random, dimension: dimension)
        #expect(Self.decoded(try EncodedOperation(operation.encoded(at: TestNode.noon), dimension: dimension)) == operation)
    }

    @Test("the bytes are those of the document")
    func golden() throws {
        let operation = ShardOperation(changes: [
            .upsert([
                Point(id: .integer(258), vector: [1, -2], payload: Array("{}".utf8)), Point(id: .uuid(high: 1, low: 2), vector: [0, 0.5]),
            ]),
            .delete([try PointID("é")]),
        ])
        let expected: [UInt8] =
            [0x41, 0x50, 0x56, 1] + [0, 0x1a, 0x49, 0xa6, 0x9a, 1, 0, 0]
            + [1, 2, 0, 0, 0, 2, 0, 0, 0]
            + [0, 2, 1, 0, 0, 0, 0, 0, 0] + [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
            + [2, 0, 0, 0, 255, 255, 255, 255] + [0x7b, 0x7d]
            + [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0x3f]
            + [2, 1, 0, 0, 0, 2, 2, 0, 0xc3, 0xa9]
        #expect(operation.encoded(at: TestNode.noon) == expected)
        #expect(try EncodedOperation(expected, dimension: 2).writtenAt == TestNode.noon)
    }

    @Test("bytes that are damaged, cut or anything at all end in an error or in another operation, never in a trap")
    func corruption() throws {
        var random = SeededGenerator(seed: 99)
        var refused = 0
        for _ in 0..<3000 {
            var bytes = try Self.operation(&random, dimension: 3).encoded(at: TestNode.noon)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            case 1: for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            default: bytes = Array(bytes.prefix(12)) + (0..<40).map { _ in UInt8.random(in: 0...8, using: &random) }
            }
            do {
                let operation = try EncodedOperation(bytes, dimension: 3)
                let table = PointTable(dimension: 3, metric: .cosine)
                _ = table.apply(at: 1) { operation.apply(to: &$0) }
            } catch {
                refused += 1
                #expect([ErrorCode.logCorrupt, .catalogIncompatible, .requestInvalid].contains(error.code))
            }
        }
        #expect(refused > 1500)
    }

    @Test("a newer format is refused by its number")
    func newerFormat() throws {
        var bytes = ShardOperation(changes: []).encoded(at: TestNode.noon)
        bytes[3] = 2
        let error = #expect(throws: ApusError.self) { try EncodedOperation(bytes, dimension: 3) }
        #expect(error?.code == .catalogIncompatible && error?.summary.contains("format 2") == true)
    }

    @Test("vectors of another dimension are refused")
    func otherDimension() throws {
        let bytes = ShardOperation(changes: [.upsert([Point(id: .integer(1), vector: [1, 2])])]).encoded(at: TestNode.noon)
        let error = #expect(throws: ApusError.self) { try EncodedOperation(bytes, dimension: 3) }
        #expect(error?.code == .logCorrupt)
    }
}
