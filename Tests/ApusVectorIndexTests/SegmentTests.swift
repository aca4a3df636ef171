import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex

/// Segments of a table, made and opened in memory.
struct SegmentLab {
    static let fields = [
        VectorField("title", .dense(dimension: 6, .cosine)), VectorField("", .dense(dimension: 3, .euclidean)),
        VectorField("tokens", .multiple(dimension: 2, .dot)), VectorField("words", .sparse(idf: false)),
    ]

    static func bytes(_ plan: SealPlan, _ tombstones: Tombstones = [], asOf moment: Int64? = nil, leastGraph: Int = 200) -> [UInt8] {
        var parameters = SegmentBuilder.Parameters()
        parameters.leastGraph = leastGraph
        let builder = plan.builder(parameters, threads: 1)
        while builder.work(thread: 0) {}
        builder.prepare()
        let segment = builder.finish(tombstones, asOf: moment ?? plan.snapshot.moment)
        var bytes: [UInt8] = []
        while let piece = segment.next() { bytes += piece }
        #expect(bytes.count == segment.count)
        return bytes
    }

    static func open(_ bytes: [UInt8], _ key: ObjectKey, _ fields: [VectorField]) throws -> Segment {
        let slab = Slab(bytes.count)
        slab.bytes.copyBytes(from: bytes)
        return try Segment(UnsafeRawBufferPointer(slab.bytes), key: key, fields: fields, owner: slab)
    }

    /// All points in memory, with the place in the log after which they are sealed.
    static func seal(_ table: PointTable, _ random: inout SeededGenerator) throws -> (Segment, Int64) {
        let plan = SealPlan(sealing: table.snapshot())
        let bytes = bytes(plan, plan.snapshot.tombstones(asOf: plan.snapshot.moment))
        return (try open(bytes, .random(using: &random), table.fields), plan.snapshot.moment)
    }

    static func value(_ random: inout SeededGenerator, of field: VectorField) -> VectorValue {
        switch field.kind {
        case .dense(let dimension, _): return .dense(random.vector(dimension))
        case .multiple(let dimension, _):
            return .multiple((0..<Int.random(in: 1...3, using: &random)).map { _ in random.vector(dimension) })
        case .sparse:
            let indices = Set((0..<Int.random(in: 0...4, using: &random)).map { _ in UInt32(random.next() % 20) }).sorted()
            return .sparse(SparseVector(indices: indices, values: random.vector(indices.count)))
        }
    }
}

@Suite("segments", .computing)
struct SegmentTests {
    struct Model: Equatable {
        var vectors: PointVectors
        var payload: [UInt8]?
        var version: Int64
    }

    static func contents(_ snapshot: PointSnapshot) -> [PointID: Model] {
        var contents: [PointID: Model] = [:]
        snapshot.forEachRow { row in
            #expect(contents[snapshot.id(row)] == nil, "a point is seen once")
            contents[snapshot.id(row)] = Model(
                vectors: snapshot.vectors(row), payload: snapshot.payload(row), version: snapshot.version(row))
        }
        return contents
    }

    static func id(_ random: inout SeededGenerator) throws -> PointID {
        let number = random.next() % 80
        return switch number % 3 {
        case 0: .integer(number)
        case 1: .uuid(high: number, low: 7)
        default: try PointID("point \(number) é")
        }
    }

    /// One operation on a table and its model.
    static func write(_ table: PointTable, _ model: inout [PointID: Model], at moment: Int64, _ random: inout SeededGenerator) throws {
        var changes: [(PointID, Int, PointVectors, [UInt8]?)] = []
        for _ in 0..<Int.random(in: 0...12, using: &random) {
            let vectors = PointVectors(
                table.fields.filter { _ in random.next() % 4 != 0 }.map { .init($0.name, SegmentLab.value(&random, of: $0)) })
            let payload: [UInt8]? = random.next() % 3 == 0 ? nil : Array(#"{"m":\#(moment),"n":\#(random.next() % 10)}"#.utf8)
            changes.append((try id(&random), Int(random.next() % 6), vectors, payload))
        }
        table.apply(at: moment) { writer in
            for (id, kind, vectors, payload) in changes {
                let bytes = table.fields.map { vectors[$0.name]?.bytes }
                func field<Value>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value? {
                    bytes[number]?.withUnsafeBytes(body)
                }
                // Arrays of bytes do not move while this loop holds them.
                func pointer(_ number: Int) -> UnsafeRawBufferPointer? { field(number) { $0 } }
                switch kind {
                case 0, 1, 2:
                    if let payload {
                        payload.withUnsafeBytes { writer.upsert(id, payload: $0, value: pointer) }
                    } else {
                        writer.upsert(id, payload: nil, value: pointer)
                    }
                    model[id] = Model(vectors: vectors, payload: payload, version: moment)
                case 3:
                    #expect(writer.delete(id) == (model.removeValue(forKey: id) != nil))
                case 4:
                    let found = writer.changePayload(of: id) { old in
                        #expect(Array(old) == model[id]?.payload ?? [])
                        return payload
                    }
                    #expect(found == (model[id] != nil))
                    model[id]?.payload = payload
                    model[id]?.version = moment
                default:
                    let found = writer.changeVectors(of: id) { number in
                        if number == 0 { return .remove }
                        return pointer(number).map { .set($0) } ?? .keep
                    }
                    #expect(found == (model[id] != nil))
                    guard var old = model[id]?.vectors else { continue }
                    old.entries.removeAll { $0.field == table.fields[0].name }
                    for entry in vectors.entries where entry.field != table.fields[0].name {
                        old.entries.removeAll { $0.field == entry.field }
                        old.entries.append(entry)
                    }
                    old.entries.sort { left, right in
                        table.fields.firstIndex { $0.name == left.field }! < table.fields.firstIndex { $0.name == right.field }!
                    }
                    model[id]?.vectors = old
                    model[id]?.version = moment
                }
            }
        }
    }

    @Test("sealing and merging beside writes change nothing that is seen, and what is loaded is what was sealed", arguments: 0..<12)
    func model(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let table = PointTable(SegmentLab.fields)
        var model: [PointID: Model] = [:]
        var segments: [Segment] = []
        var held: [(PointSnapshot, [PointID: Model])] = []
        var moment: Int64 = 0
        func write() throws {
            moment += 1
            try Self.write(table, &model, at: moment, &random)
            #expect(table.count == model.count)
        }
        for _ in 0..<25 {
            for _ in 0..<Int.random(in: 0...6, using: &random) { try write() }
            held.append((table.snapshot(), model))
            let (segment, sealedAt) = try SegmentLab.seal(table, &random)
            let atSeal = model
            segments.append(segment)
            for _ in 0..<Int.random(in: 0...4, using: &random) { try write() }
            #expect(table.adopt(segments, sealedAt: sealedAt))
            #expect(Self.contents(table.snapshot()) == model && table.count == model.count)
            #expect(table.snapshot().segments.map(\.key) == segments.map(\.key))
            try Self.expect(SegmentLab.fields, segments, sealedAt, toBe: atSeal)

            // Some of them become one, while the place in the log stays.
            let merged = Set(segments.map(\.key).filter { _ in random.next() % 3 != 0 })
            let plan = SealPlan(merging: merged, of: table.snapshot(), asOf: sealedAt)
            let union = try SegmentLab.open(SegmentLab.bytes(plan), .random(using: &random), SegmentLab.fields)
            for _ in 0..<Int.random(in: 0...4, using: &random) { try write() }
            let tombstones = table.snapshot().tombstones(asOf: sealedAt, leaving: merged, merged: (union, sealedAt))
            let graves = SegmentLab.bytes(SealPlan(burying: table.snapshot()), tombstones, asOf: sealedAt)
            segments =
                segments.filter { !merged.contains($0.key) }
                + [union, try SegmentLab.open(graves, .random(using: &random), SegmentLab.fields)]
            #expect(table.adopt(segments, sealedAt: sealedAt))
            #expect(Self.contents(table.snapshot()) == model && table.count == model.count)
            try Self.expect(SegmentLab.fields, segments, sealedAt, toBe: atSeal)

            // A seal may overtake a merge.
            let early = Set(segments.prefix(2).map(\.key))
            let slow = SealPlan(merging: early, of: table.snapshot(), asOf: sealedAt)
            for _ in 0..<Int.random(in: 1...3, using: &random) { try write() }
            let (later, laterAt) = try SegmentLab.seal(table, &random)
            let atLater = model
            segments.append(later)
            for _ in 0..<Int.random(in: 0...3, using: &random) { try write() }
            #expect(table.adopt(segments, sealedAt: laterAt))
            let slowUnion = try SegmentLab.open(SegmentLab.bytes(slow), .random(using: &random), SegmentLab.fields)
            let lateGraves = SegmentLab.bytes(
                SealPlan(burying: table.snapshot()),
                table.snapshot().tombstones(asOf: laterAt, leaving: early, merged: (slowUnion, sealedAt)), asOf: laterAt)
            segments =
                segments.filter { !early.contains($0.key) }
                + [slowUnion, try SegmentLab.open(lateGraves, .random(using: &random), SegmentLab.fields)]
            #expect(table.adopt(segments, sealedAt: laterAt))
            #expect(Self.contents(table.snapshot()) == model && table.count == model.count)
            try Self.expect(SegmentLab.fields, segments, laterAt, toBe: atLater)
            if held.count > 3 {
                let (snapshot, expected) = held.remove(at: Int.random(in: 0..<held.count, using: &random))
                #expect(Self.contents(snapshot) == expected, "what a reader has begun to read stays")
            }
        }
        let ids = model.keys.sorted()
        let (snapshot, rows) = table.snapshot(finding: ids)
        #expect(zip(ids, rows).allSatisfy { id, row in row.map { snapshot.id($0) } == id })
        let start = ids[ids.count / 3]
        let page = snapshot.firstRows(20, from: start, filter: .everything).map(\.id).sorted().prefix(20)
        #expect(Array(page) == Array(ids.filter { !($0 < start) }.prefix(20)))
    }

    /// What another node sees that has only the segments.
    static func expect(_ fields: [VectorField], _ segments: [Segment], _ sealedAt: Int64, toBe model: [PointID: Model]) throws {
        let loaded = PointTable(fields, segments: segments, moment: sealedAt)
        #expect(contents(loaded.snapshot()) == model && loaded.count == model.count && loaded.moment == sealedAt)
    }

    @Test("one thread makes the same bytes again")
    func deterministic() throws {
        var random = SeededGenerator(seed: 5)
        let table = PointTable(SegmentLab.fields)
        var model: [PointID: Model] = [:]
        for moment in Int64(1)...40 { try Self.write(table, &model, at: moment, &random) }
        let plan = SealPlan(sealing: table.snapshot())
        #expect(SegmentLab.bytes(plan, leastGraph: 10) == SegmentLab.bytes(plan, leastGraph: 10))
    }

    @Test("a newer format is refused by its number, and other fields or bytes are named")
    func refusals() throws {
        var random = SeededGenerator(seed: 6)
        let table = PointTable(dimension: 3, metric: .dot)
        FlatIndexTests.write(table, at: 1, (0..<10).map { (.integer($0), [Float($0), 1, 2]) })
        let key = ObjectKey.random(using: &random)
        let good = SegmentLab.bytes(SealPlan(sealing: table.snapshot()))
        func error(_ fields: [VectorField], _ change: (inout [UInt8]) -> Void) -> ApusError? {
            var bytes = good
            change(&bytes)
            return #expect(throws: ApusError.self) { try SegmentLab.open(bytes, key, fields) }
        }
        let newer = error(table.fields) { $0[8] = UInt8(SegmentFormat.version) + 1 }
        #expect(newer?.code == .segmentUnsupported && newer?.summary.contains("format \(SegmentFormat.version + 1)") == true)
        #expect(error([VectorField(dimension: 4, metric: .dot)]) { _ in }?.code == .segmentCorrupt)
        #expect(error(table.fields + table.fields) { _ in }?.code == .segmentCorrupt)
        #expect(error(table.fields) { $0.removeLast(4096) }?.code == .segmentCorrupt)
        #expect(error(table.fields) { $0[0] = 0 }?.code == .segmentCorrupt)
    }

    @Test("bytes that rot after they were verified may give wrong answers, and never a trap")
    func rot() throws {
        var random = SeededGenerator(seed: 7)
        let table = PointTable(SegmentLab.fields)
        var model: [PointID: Model] = [:]
        for moment in Int64(1)...60 { try Self.write(table, &model, at: moment, &random) }
        let good = SegmentLab.bytes(SealPlan(sealing: table.snapshot()), leastGraph: 10)
        var opened = 0
        for _ in 0..<400 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
            }
            guard let segment = try? SegmentLab.open(bytes, .random(using: &random), SegmentLab.fields) else { continue }
            opened += 1
            let table = PointTable(SegmentLab.fields, segments: [segment], moment: 60)
            let snapshot = table.snapshot()
            snapshot.forEachRow { row in
                _ = (snapshot.id(row), snapshot.vectors(row), snapshot.payload(row), snapshot.version(row))
                _ = snapshot.matches(row, .range(PayloadPath("m"), NumberRange(atLeast: 3)))
            }
            _ = snapshot.firstRows(5, from: .integer(3), filter: .everything)
            for (number, field) in SegmentLab.fields.enumerated() {
                for filter in [Filter.everything, .range(PayloadPath("n"), NumberRange(atLeast: 5))] {
                    let query = NeighbourQuery(vector: SegmentLab.value(&random, of: field), limit: 5, filter: filter, isExact: false)
                    _ = SnapshotIndex(snapshot, field: number).neighbours(of: query, part: 0, of: 1)
                }
            }
            _ = table.apply(at: 61) { $0.delete(.integer(3)) }
        }
        #expect(opened > 100)
    }
}

@Suite("searching segments", .computing)
struct SegmentSearchTests {
    /// Points in clusters, as real ones are, with payloads by which filters of every share can be made.
    static func table(
        _ metric: Metric, points: Int, dimension: Int, spread: Float = 0.3, _ random: inout SeededGenerator
    ) -> PointTable {
        let table = PointTable(dimension: dimension, metric: metric)
        let centres = centres(dimension)
        table.apply(at: 1) { writer in
            for number in 0..<points {
                let cluster = number % centres.count
                let vector = zip(centres[cluster], random.vector(dimension)).map { $0 + spread * $1 }
                let payload = Array(#"{"cluster":\#(cluster),"share":\#(random.next() % 1000)}"#.utf8)
                vector.withUnsafeBytes { vector in
                    payload.withUnsafeBytes { payload in writer.upsert(.integer(UInt64(number)), payload: payload) { _ in vector } }
                }
            }
        }
        return table
    }

    static func centres(_ dimension: Int) -> [[Float]] {
        var random = SeededGenerator(seed: 9)
        return (0..<24).map { _ in random.vector(dimension) }
    }

    /// A query like the points.
    static func query(_ dimension: Int, spread: Float = 0.3, _ random: inout SeededGenerator) -> [Float] {
        zip(centres(dimension)[Int(random.next() % 24)], random.vector(dimension)).map { $0 + spread * $1 }
    }

    static func filters(_ random: inout SeededGenerator) -> [Filter] {
        let share = PayloadPath("share"), cluster = PayloadPath("cluster")
        return [500, 100, 10, 1].map { .range(share, NumberRange(lessThan: $0)) }
            + [.equals(cluster, .integer(Int64(random.next() % 24))), .oneOf(cluster, [.integer(1), .integer(2), .integer(3)])]
            + [.hasID([.integer(3), .integer(77), .integer(1_000_000)]), .equals(cluster, .integer(99))]
    }

    @Test("finds nearly all that are nearest, and as many as there are, under any filter and beside deaths", arguments: Metric.allCases)
    func recall(metric: Metric) throws {
        var random = SeededGenerator(seed: 11)
        let table = Self.table(metric, points: 6000, dimension: 24, &random)
        let (segment, moment) = try SegmentLab.seal(table, &random)
        #expect(table.adopt([segment], sealedAt: moment) && table.snapshot().unsealed == 0)
        for round in 0..<2 {
            let snapshot = table.snapshot()
            for filter in [Filter.everything] + Self.filters(&random) {
                var (found, wanted) = (0, 0)
                for _ in 0..<12 {
                    var query = NeighbourQuery(vector: Self.query(24, &random), limit: 10, filter: filter, isExact: true)
                    let exact = SnapshotIndex(snapshot).neighbours(of: query, part: 0, of: 1)
                    query.isExact = false
                    let near = SnapshotIndex(snapshot).neighbours(of: query, part: 0, of: 1)
                    #expect(near.count == exact.count, "as many as match, \(filter)")
                    #expect(near.allSatisfy { snapshot.matches($0.row, filter) })
                    for (one, next) in zip(near, near.dropFirst()) { #expect(one.precedes(next, by: metric)) }
                    wanted += exact.count
                    found += Set(exact.map(\.id)).intersection(near.map(\.id)).count
                    for hit in near { if let same = exact.first(where: { $0.id == hit.id }) { #expect(same.score == hit.score) } }
                }
                #expect(Double(found) >= 0.95 * Double(wanted), "\(found) of \(wanted) in round \(round) under \(filter)")
            }
            // A third dies, among them whole clusters.
            table.apply(at: moment + 1 + Int64(round)) { writer in
                for number in 0..<6000 where number % 24 < 6 || number % 11 == 0 { writer.delete(.integer(UInt64(number))) }
            }
        }
    }

    @Test("finds nearly all that are nearest in a large segment, small ones beside it and memory", arguments: Metric.allCases, [0.3, 0.02])
    func bounded(metric: Metric, spread: Float) throws {
        var random = SeededGenerator(seed: 13)
        let table = Self.table(metric, points: 6000, dimension: 24, spread: spread, &random)
        var segments: [Segment] = []
        for moment in Int64(2)...5 {
            let (segment, sealedAt) = try SegmentLab.seal(table, &random)
            segments.append(segment)
            #expect(table.adopt(segments, sealedAt: sealedAt))
            FlatIndexTests.write(
                table, at: moment,
                (0..<900).map { (.integer(UInt64(moment) * 10_000 + UInt64($0)), Self.query(24, spread: spread, &random)) })
        }
        let snapshot = table.snapshot()
        #expect(snapshot.segments.count == 4 && snapshot.unsealed == 900)
        var (found, wanted) = (0, 0)
        for _ in 0..<40 {
            var query = NeighbourQuery(vector: Self.query(24, spread: spread, &random), limit: 10, isExact: true)
            let exact = SnapshotIndex(snapshot).neighbours(of: query, part: 0, of: 1)
            query.isExact = false
            let near = SnapshotIndex(snapshot).neighbours(of: query, part: 0, of: 1)
            #expect(near.count == 10)
            wanted += exact.count
            found += Set(exact.map(\.id)).intersection(near.map(\.id)).count
        }
        #expect(Double(found) >= 0.95 * Double(wanted), "\(found) of \(wanted)")
    }

    @Test("segments and points in memory answer together, in parts or at once")
    func parts() throws {
        var random = SeededGenerator(seed: 12)
        let table = Self.table(.cosine, points: 3000, dimension: 16, &random)
        var segments: [Segment] = []
        for moment in Int64(2)...4 {
            let (segment, sealedAt) = try SegmentLab.seal(table, &random)
            segments.append(segment)
            #expect(table.adopt(segments, sealedAt: sealedAt))
            FlatIndexTests.write(table, at: moment, (0..<700).map { (.integer(UInt64($0) * 5 + UInt64(moment)), random.vector(16)) })
        }
        let snapshot = table.snapshot()
        let index = SnapshotIndex(snapshot)
        for limit in [1, 10, 200, 100_000] {
            let query = NeighbourQuery(vector: random.vector(16), limit: limit, isExact: true)
            let whole = index.neighbours(of: query, part: 0, of: 1)
            var top = TopNeighbours(limit: limit, metric: .cosine)
            for part in 0..<3 { index.neighbours(of: query, part: part, of: 3).forEach { top.offer($0) } }
            #expect(top.sorted() == whole && whole.count == min(limit, snapshot.count))
            #expect(Set(whole.map(\.id)).count == whole.count)
        }
    }

    @Test("a sparse search gives what comparing with each vector gives, to the last bit", arguments: [false, true])
    func sparse(idf: Bool) throws {
        for seed in 0..<12 {
            var random = SeededGenerator(seed: UInt64(seed))
            let table = PointTable([VectorField("s", .sparse(idf: idf))])
            func vector() -> SparseVector {
                let indices = Set((0..<Int.random(in: 0...9, using: &random)).map { _ in UInt32(random.next() % 40) * 1_000_003 }).sorted()
                return SparseVector(indices: indices, values: random.vector(indices.count))
            }
            let count = Int.random(in: 1...400, using: &random)
            func write(_ numbers: Range<Int>, at moment: Int64) {
                for number in numbers {
                    let bytes = number % 7 == 3 ? nil : VectorValue.sparse(vector()).bytes
                    let payload = Array(#"{"n":\#(number % 5)}"#.utf8)
                    table.apply(at: moment + Int64(number)) { writer in
                        payload.withUnsafeBytes { payload in
                            // An array of bytes does not move while this holds it.
                            writer.upsert(.integer(UInt64(number)), payload: payload) { _ in bytes?.withUnsafeBytes { $0 } }
                        }
                    }
                }
            }
            write(0..<count, at: 1)
            let memory = table.snapshot()
            let (segment, moment) = try SegmentLab.seal(table, &random)
            #expect(segment.field(0).sparseLists != nil)
            func expectSame(_ one: PointSnapshot, _ other: PointSnapshot) {
                for _ in 0..<20 {
                    let question = vector()
                    let places = question.indices + [77]
                    #expect(one.frequencies(of: places, field: 0) == other.frequencies(of: places, field: 0))
                    for filter in [Filter.everything, .equals(PayloadPath("n"), .integer(2)), .not(.exists(PayloadPath("x")))] {
                        var query = NeighbourQuery(vector: .sparse(question), limit: Int.random(in: 1...30, using: &random), filter: filter)
                        if random.next() % 3 == 0 { query.scoreThreshold = 0.2 }
                        func answer(_ snapshot: PointSnapshot) -> [String] {
                            SnapshotIndex(snapshot).neighbours(of: query, part: 0, of: 1).map { "\($0.id) \($0.score)" }
                        }
                        #expect(answer(one) == answer(other))
                    }
                }
            }
            let sealed = PointTable(table.fields, segments: [segment], moment: moment)
            expectSame(memory, sealed.snapshot())
            // Some die: the list of the sealed ones has them still.
            for change in [table, sealed] {
                change.apply(at: moment + 1) { writer in
                    for number in stride(from: 0, to: count, by: 3) { writer.delete(.integer(UInt64(number))) }
                }
            }
            expectSame(table.snapshot(), sealed.snapshot())
        }
    }
}

/// One row that is unlike all others must not change what is found of them, nor be lost itself.
@Suite("long rows", .computing)
struct LongRowTests {
    static func unit(_ dimension: Int, _ random: inout SeededGenerator) -> [Float] {
        DistanceKernel.normalised(random.vector(dimension))
    }

    @Test(
        "beside rows of length 1, some long ones change nothing that is found of the others, and are found themselves",
        arguments: [Metric.dot, .euclidean, .manhattan], [(1, Float(7)), (1, 2900), (1, 2e19), (5, 1e30), (40, 50)])
    func long(metric: Metric, long: (count: Int, length: Float)) throws {
        let dimension = 32
        var random = SeededGenerator(seed: 21)
        let centres = (0..<40).map { _ in random.vector(dimension) }
        var rows = (0..<3000).map { number in
            DistanceKernel.normalised(zip(centres[number % 40], random.vector(dimension)).map { $0 + 0.4 * $1 })
        }
        let places = (0..<long.count).map { $0 * 71 + 5 }
        for place in places { rows[place] = Self.unit(dimension, &random).map { $0 * long.length } }
        let table = PointTable(dimension: dimension, metric: metric)
        FlatIndexTests.write(table, at: 1, rows.enumerated().map { (.integer(UInt64($0.offset)), $0.element) })
        let (segment, moment) = try SegmentLab.seal(table, &random)
        #expect(table.adopt([segment], sealedAt: moment) && table.snapshot().unsealed == 0)
        // Few long rows do not cost the graph.
        #expect(long.count > 10 || segment.field(0).graph != nil)
        var (found, wanted) = (0, 0)
        for number in 0..<40 {
            var vector = DistanceKernel.normalised(zip(centres[number], random.vector(dimension)).map { $0 + 0.4 * $1 })
            if number % 4 == 3, let place = places.first { vector = rows[place].map { $0 * 1.01 } }
            let expected = RoughRowsTests.expected(metric, vector, rows, limit: 10)
            let near = SnapshotIndex(table.snapshot()).neighbours(
                of: NeighbourQuery(vector: vector, limit: 10, isExact: false), part: 0, of: 1)
            #expect(near.count == 10)
            for (a, b) in zip(near, near.dropFirst()) { #expect(!metric.isNearer(b.score, than: a.score)) }
            // Those that stand out are never lost.
            for place in places where expected.contains(where: { $0.id == .integer(UInt64(place)) }) && long.count < 10 {
                #expect(near.contains { $0.id == .integer(UInt64(place)) })
            }
            wanted += 10
            found += near.count { hit in expected.contains { $0.id == hit.id } }
        }
        // What is not few is not told apart: the graph is as good as it is over such rows.
        #expect(Double(found) / Double(wanted) > (long.count < 10 ? 0.95 : 0.75), "\(found) of \(wanted)")
    }

    @Test("a query whose distances leave a float's range is compared with every row", arguments: [Metric.dot, .euclidean, .manhattan])
    func longQueries(metric: Metric) throws {
        var random = SeededGenerator(seed: 22)
        let table = SegmentSearchTests.table(metric, points: 2000, dimension: 12, &random)
        let (segment, moment) = try SegmentLab.seal(table, &random)
        #expect(table.adopt([segment], sealedAt: moment) && segment.field(0).graph != nil)
        for length in [Float(1e15), 1e19, 1e25, 1e37] {
            let query = NeighbourQuery(vector: random.vector(12).map { $0 * length }, limit: 10)
            var near = query
            near.isExact = false
            #expect(
                SnapshotIndex(table.snapshot()).neighbours(of: near, part: 0, of: 1)
                    == SnapshotIndex(table.snapshot()).neighbours(of: query, part: 0, of: 1))
        }
    }

    @Test("a graph that finds too little is not kept: the answers are exact")
    func useless() throws {
        // Their squares leave a float's range: codes and links say nothing.
        var random = SeededGenerator(seed: 23)
        let table = PointTable(dimension: 256, metric: .euclidean)
        let rows = (0..<600).map { _ in random.vector(256).map { $0 * 1e25 } }
        FlatIndexTests.write(table, at: 1, rows.enumerated().map { (.integer(UInt64($0.offset)), $0.element) })
        var parameters = SegmentBuilder.Parameters()
        parameters.leastGraph = 200
        let builder = SealPlan(sealing: table.snapshot()).builder(parameters, threads: 1)
        while builder.work(thread: 0) {}
        builder.prepare()
        let segment = builder.finish([], asOf: 1)
        var bytes: [UInt8] = []
        while let piece = segment.next() { bytes += piece }
        let opened = try SegmentLab.open(bytes, .random(using: &random), table.fields)
        #expect((opened.field(0).graph == nil) == (builder.fieldsWithoutGraph == [""]))
        #expect(builder.fieldsWithoutGraph == [""] && table.adopt([opened], sealedAt: 1))
        let found = SnapshotIndex(table.snapshot()).neighbours(
            of: NeighbourQuery(vector: rows[7], limit: 5, isExact: false), part: 0, of: 1)
        let expected = RoughRowsTests.expected(.euclidean, rows[7], rows, limit: 5)
        #expect(found.map(\.id) == expected.map(\.id) && found.map(\.score) == expected.map(\.score))
    }
}
