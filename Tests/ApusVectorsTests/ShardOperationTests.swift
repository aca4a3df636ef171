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

    /// Of a collection with one unnamed dense field, or with fields of every kind.
    static func fields(_ random: inout SeededGenerator, dimension: Int) -> [VectorField] {
        if Bool.random(using: &random) { return [VectorField(dimension: dimension, metric: .cosine)] }
        return [
            VectorField("title", .dense(dimension: dimension, .dot)), VectorField("", .dense(dimension: 2, .cosine)),
            VectorField("tokens", .multiple(dimension: 3, .cosine)), VectorField("words", .sparse(idf: true)),
        ]
    }

    static func value(_ random: inout SeededGenerator, of field: VectorField) -> VectorValue {
        switch field.kind {
        case .dense(let dimension, _): return .dense(random.vector(dimension))
        case .multiple(let dimension, _):
            return .multiple((0..<Int.random(in: 1...4, using: &random)).map { _ in random.vector(dimension) })
        case .sparse:
            let indices = Set((0..<Int.random(in: 0...6, using: &random)).map { _ in UInt32(random.next() % 100) }).sorted()
            return .sparse(SparseVector(indices: indices, values: random.vector(indices.count)))
        }
    }

    static func vectors(_ random: inout SeededGenerator, _ fields: [VectorField]) -> PointVectors {
        PointVectors(
            fields.filter { _ in fields.count == 1 || Bool.random(using: &random) }.map { .init($0.name, value(&random, of: $0)) })
    }

    static func operation(_ random: inout SeededGenerator, _ fields: [VectorField]) throws -> ShardOperation {
        var changes: [ShardOperation.Change] = []
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let ids = try (0..<Int.random(in: 1...20, using: &random)).map { _ in try id(&random) }
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                changes.append(.upsert(ids.map { Point(id: $0, vectors: vectors(&random, fields), payload: payload(&random)) }))
            case 1: changes.append(.delete(ids))
            case 2: changes.append(.setVectors(ids, ids.map { _ in vectors(&random, fields) }))
            case 3: changes.append(.removeVectors(ids, fields: Set(fields.map(\.name).filter { _ in Bool.random(using: &random) })))
            default:
                let verb = [ShardOperation.PayloadVerb.replace, .merge, .assign, .removePaths][Int.random(in: 0..<4, using: &random)]
                changes.append(.changePayloads(verb, ids, ids.map { _ in payload(&random) }))
            }
        }
        return ShardOperation(changes: changes)
    }

    /// The operation that the checked bytes mean.
    static func decoded(_ encoded: EncodedOperation, _ fields: [VectorField]) -> ShardOperation {
        func value(_ field: VectorField, _ range: Range<Int>) -> PointVectors.Entry {
            encoded.bytes.withUnsafeBytes { .init(field.name, field.value(UnsafeRawBufferPointer(rebasing: $0[range]))) }
        }
        func vectors(_ part: EncodedOperation.Part, _ index: Int) -> PointVectors {
            if !part.entries.isEmpty { return PointVectors(part.entries[index].map { value(fields[$0.field], $0.bytes) }) }
            let start = part.vectors + index * part.dimension * 4
            return PointVectors([value(fields[0], start..<start + part.dimension * 4)])
        }
        return ShardOperation(
            changes: encoded.parts.map { part in
                let payloads = part.payloads.map { $0.map { Array(encoded.bytes[$0]) } }
                switch part.kind {
                case .upsert, .upsertFields:
                    return .upsert(part.ids.enumerated().map { Point(id: $1, vectors: vectors(part, $0), payload: payloads[$0]) })
                case .delete: return .delete(part.ids)
                case .setVectors, .setFields: return .setVectors(part.ids, part.ids.indices.map { vectors(part, $0) })
                case .removeFields: return .removeVectors(part.ids, fields: Set(part.removed.map { fields[$0].name }))
                case .replacePayloads: return .changePayloads(.replace, part.ids, payloads)
                case .mergePayloads: return .changePayloads(.merge, part.ids, payloads)
                case .removeMembers: return .changePayloads(.remove, part.ids, payloads)
                case .assignPayloads: return .changePayloads(.assign, part.ids, payloads)
                case .removePaths: return .changePayloads(.removePaths, part.ids, payloads)
                }
            })
    }

    @Test("what is written is read", arguments: 0..<200)
    func roundTrip(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let fields = Self.fields(&random, dimension: Int.random(in: 1...40, using: &random))
        let operation = try Self.operation(&random, fields)
        #expect(Self.decoded(try EncodedOperation(operation.encoded(at: TestNode.noon, for: fields), fields: fields), fields) == operation)
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
            [0x41, 0x50, 0x56, 3] + [0, 0x1a, 0x49, 0xa6, 0x9a, 1, 0, 0]
            + [1, 2, 0, 0, 0, 2, 0, 0, 0]
            + [0, 2, 1, 0, 0, 0, 0, 0, 0] + [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
            + [2, 0, 0, 0, 255, 255, 255, 255] + [0x7b, 0x7d]
            + [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0x3f]
            + [2, 1, 0, 0, 0, 2, 2, 0, 0xc3, 0xa9]
        #expect(operation.encoded(at: TestNode.noon, for: Self.pair) == expected)
        #expect(try EncodedOperation(expected, fields: Self.pair).writtenAt == TestNode.noon)
        // As format 1 wrote it.
        var first = expected
        first[3] = 1
        #expect(Self.decoded(try EncodedOperation(first, fields: Self.pair), Self.pair) == operation)
    }

    static let pair = [VectorField(dimension: 2, metric: .cosine)]

    @Test("the bytes of named vectors are those of the document")
    func goldenFields() throws {
        let fields = [VectorField("a", .dense(dimension: 1, .dot)), VectorField("s", .sparse(idf: false))]
        let operation = ShardOperation(changes: [
            .upsert([
                Point(id: .integer(7), vectors: PointVectors([.init("s", .sparse(SparseVector(indices: [9, 3], values: [1, 2])))]))
            ]),
            .setVectors([.integer(7)], [PointVectors([.init("a", .dense([0.5]))])]), .removeVectors([.integer(7)], fields: ["s"]),
        ])
        let id: [UInt8] = [1, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]
        let expected: [UInt8] =
            [0x41, 0x50, 0x56, 3] + [0, 0x1a, 0x49, 0xa6, 0x9a, 1, 0, 0]
            + [7] + id + [255, 255, 255, 255] + [1, 1, 0, 16, 0, 0, 0] + [3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0x80, 0x3f]
            + [8] + id + [1, 0, 0, 4, 0, 0, 0] + [0, 0, 0, 0x3f]
            + [9] + id + [1, 1, 0]
        #expect(operation.encoded(at: TestNode.noon, for: fields) == expected)
        #expect(Self.decoded(try EncodedOperation(expected, fields: fields), fields) == operation)
    }

    @Test("bytes that are damaged, cut or anything at all end in an error or in another operation, never in a trap")
    func corruption() throws {
        var random = SeededGenerator(seed: 99)
        var refused = 0
        for _ in 0..<3000 {
            let fields = Self.fields(&random, dimension: 3)
            var bytes = try Self.operation(&random, fields).encoded(at: TestNode.noon, for: fields)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            case 1: for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            default: bytes = Array(bytes.prefix(12)) + (0..<40).map { _ in UInt8.random(in: 0...9, using: &random) }
            }
            do {
                let operation = try EncodedOperation(bytes, fields: fields)
                let table = PointTable(fields)
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
        var bytes = ShardOperation(changes: []).encoded(at: TestNode.noon, for: Self.pair)
        bytes[3] = ShardOperation.version + 1
        let error = #expect(throws: ApusError.self) { try EncodedOperation(bytes, fields: Self.pair) }
        #expect(error?.code == .catalogIncompatible && error?.summary.contains("format \(ShardOperation.version + 1)") == true)
    }

    @Test("vectors of another dimension are refused")
    func otherDimension() throws {
        let bytes = ShardOperation(changes: [.upsert([Point(id: .integer(1), vector: [1, 2])])]).encoded(at: TestNode.noon, for: Self.pair)
        let error = #expect(throws: ApusError.self) { try EncodedOperation(bytes, fields: [VectorField(dimension: 3, metric: .dot)]) }
        #expect(error?.code == .logCorrupt)
    }

    @Test("updates of one kind that follow each other are one change, in their order; another kind begins a new one")
    func runs() throws {
        let change = PayloadChange.assign(Array(#"{"a":1}"#.utf8), at: try PayloadPath(jsonPath: "x.y"))
        let bytes = Array(#"["x.y",{"a":1}]"#.utf8)
        let many = (0..<100_000).map { PointUpdate(id: .integer($0), payload: change) }
        let operation = ShardOperation(updates: many)
        #expect(operation.changes.count == 1)
        guard case .changePayloads(.assign, let ids, let payloads)? = operation.changes.first else {
            Issue.record("another change"); return
        }
        #expect(ids == many.map(\.id) && payloads.allSatisfy { $0 == bytes })

        func vectors(_ number: Float) -> PointVectors { PointVectors([number]) }
        let mixed: [PointUpdate] = [
            PointUpdate(id: .integer(1), vectors: vectors(1)), PointUpdate(id: .integer(2), vectors: vectors(2)),
            PointUpdate(id: .integer(3), removedFields: ["a"]), PointUpdate(id: .integer(4), removedFields: ["a", "b"]),
            PointUpdate(id: .integer(5), vectors: vectors(5), removedFields: ["a"], payload: .clear),
            PointUpdate(id: .integer(6), payload: .replace(Array("{}".utf8))), PointUpdate(id: .integer(7)),
            PointUpdate(id: .integer(8), payload: .merge(Array("{}".utf8))),
        ]
        #expect(
            ShardOperation(updates: mixed).changes == [
                .setVectors([.integer(1), .integer(2)], [vectors(1), vectors(2)]), .removeVectors([.integer(3)], fields: ["a"]),
                .removeVectors([.integer(4)], fields: ["a", "b"]), .setVectors([.integer(5)], [vectors(5)]),
                .removeVectors([.integer(5)], fields: ["a"]),
                .changePayloads(.replace, [.integer(5), .integer(6)], [nil, Array("{}".utf8)]),
                .changePayloads(.merge, [.integer(8)], [Array("{}".utf8)]),
            ])
        #expect(ShardOperation(updates: []).changes.isEmpty)
    }

    @Test("a change of a payload that is in a log does no harm, however long its path and however deep its object")
    func harmlessPaths() throws {
        func assigned(_ payload: String, _ change: String) -> String {
            Array(payload.utf8).withUnsafeBytes { payload in
                Array(change.utf8).withUnsafeBytes { String(decoding: Payload.assigning(payload, $0), as: UTF8.self) }
            }
        }
        func removed(_ payload: String, _ paths: String) -> String? {
            Array(payload.utf8).withUnsafeBytes { payload in
                Array(paths.utf8).withUnsafeBytes { Payload.removing(paths: $0, from: payload).map { String(decoding: $0, as: UTF8.self) } }
            }
        }
        func path(_ steps: Int) -> String { Array(repeating: "a", count: steps).joined(separator: ".") }
        func nested(_ depth: Int) -> String {
            String(repeating: #"{"a":"#, count: depth - 1) + "{}" + String(repeating: "}", count: depth - 1)
        }
        #expect(Payload.depth(of: nested(40).utf8) == 40 && Payload.depth(of: #"{"[[{":"\\\"[[","b":[{}]}"#.utf8) == 3)
        // Longer than requests may name today, and applied by those that wrote it.
        #expect(assigned("{}", #"["\#(path(50))",{"b":1}]"#).utf8.count == 50 * 6 + 7)
        // As deep as a payload may be it is applied and read again; any deeper the payload stays.
        let deep = assigned(#"{"kept":1}"#, #"["\#(path(Payload.deepest - 1))",{"b":1}]"#)
        #expect(Payload.depth(of: deep.utf8) == Payload.deepest)
        #expect(assigned(deep, #"["",{"more":2}]"#).hasSuffix(#","more":2}"#))
        for change in [#"["\#(path(Payload.deepest))",{"b":1}]"#, #"["\#(path(30_000))",{"b":1}]"#, #"["\#(path(32))",\#(nested(40))]"#] {
            #expect(assigned(#"{"kept":1}"#, change) == #"{"kept":1}"#)
        }
        #expect(removed(#"{"kept":1}"#, #"["\#(path(30_000))","\#(path(64))"]"#) == #"{"kept":1}"#)
        // A payload that cannot be read, because an older program made it too deep, is not taken for an empty one.
        let lost = nested(70)
        let bytes = Array(lost.utf8)
        #expect(assigned(lost, #"["",{"b":1}]"#) == lost && removed(lost, #"["a"]"#) == lost)
        bytes.withUnsafeBytes { payload in
            Array(#"{"b":1}"#.utf8).withUnsafeBytes { #expect(Payload.merged(payload, with: $0) == bytes) }
            Array(#"["a"]"#.utf8).withUnsafeBytes { #expect(Payload.removing($0, from: payload) == bytes) }
        }
    }
}
