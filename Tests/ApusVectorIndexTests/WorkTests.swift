import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex

/// What a search says that it will take decides on which thread it runs, and whether a graph is walked: everything that it asks for counts.
@Suite("work of a search", .computing)
struct WorkTests {
    /// What `ApusVectors` does where the request is.
    static let inPlace = 2 << 20

    static func table(_ kind: VectorField.Kind, points: Int, sealing: Bool, _ random: inout SeededGenerator) throws -> PointTable {
        let field = VectorField("", kind)
        let table = PointTable([field])
        table.apply(at: 1) { writer in
            for number in 0..<points {
                let value: VectorValue =
                    switch kind {
                    case .dense(let dimension, _): .dense(random.vector(dimension))
                    case .multiple(let dimension, _): .multiple((0..<40).map { _ in random.vector(dimension) })
                    case .sparse: .sparse(SparseVector(indices: (0..<50).map { $0 * 3 }, values: random.vector(50)))
                    }
                value.bytes.withUnsafeBytes { bytes in
                    Array(#"{"n":\#(number % 10),"text":"\#(number)"}"#.utf8).withUnsafeBytes { payload in
                        writer.upsert(.integer(UInt64(number)), payload: payload) { _ in bytes }
                    }
                }
            }
        }
        guard sealing else { return table }
        let (segment, moment) = try SegmentLab.seal(table, &random)
        #expect(table.adopt([segment], sealedAt: moment))
        return table
    }

    static func work(_ table: PointTable, _ query: NeighbourQuery) -> Int { SnapshotIndex(table.snapshot()).work(of: query) }

    @Test("candidates and limits count; so many that comparing with all takes less are compared with all")
    func candidates() throws {
        var random = SeededGenerator(seed: 31)
        let table = try Self.table(.dense(dimension: 64, .cosine), points: 4000, sealing: true, &random)
        #expect(table.snapshot().sealed[0].segment.field(0).graph != nil)
        let query = NeighbourQuery(vector: .dense(random.vector(64)), limit: 10, isExact: false)
        var exact = query
        exact.isExact = true
        #expect(Self.work(table, query) <= Self.inPlace && Self.work(table, query) <= Self.work(table, exact))
        for candidates in [5000, 1_000_000, Int.max] {
            var wide = query
            wide.candidates = candidates
            #expect(Self.work(table, wide) == Self.work(table, exact))
            let found = SnapshotIndex(table.snapshot()).neighbours(of: wide, part: 0, of: 1)
            #expect(found == SnapshotIndex(table.snapshot()).neighbours(of: exact, part: 0, of: 1))
        }
        for limit in [600, 999, 3999, Int.max] {
            var (long, all) = (query, exact)
            (long.limit, all.limit) = (limit, limit)
            let found = SnapshotIndex(table.snapshot()).neighbours(of: long, part: 0, of: 1)
            #expect(found == SnapshotIndex(table.snapshot()).neighbours(of: all, part: 0, of: 1))
            #expect(Self.work(table, long) <= Self.work(table, all))
        }
    }

    @Test("memory for very many candidates is given back")
    func scratch() {
        let pool = ScratchPool()
        pool.with(rows: 100) { _ = $0.room(for: 3000) }
        #expect(pool.capacity >= 3000)
        pool.with(rows: 100) { _ = $0.room(for: 100_000) }
        #expect(pool.capacity == 0)
    }

    @Test("vectors of a point, of a query, entries of lists and payloads to read count", arguments: [true, false])
    func values(sealing: Bool) throws {
        var random = SeededGenerator(seed: 32)
        let multiple = try Self.table(.multiple(dimension: 8, .dot), points: 400, sealing: sealing, &random)
        let one = NeighbourQuery(vector: .multiple([random.vector(8)]), limit: 3)
        let many = NeighbourQuery(vector: .multiple((0..<50).map { _ in random.vector(8) }), limit: 3)
        #expect(Self.work(multiple, one) >= 400 * 40 * 8 && Self.work(multiple, many) >= 400 * 40 * 8 * 50)

        let sparse = try Self.table(.sparse(idf: false), points: 3000, sealing: sealing, &random)
        let short = NeighbourQuery(vector: .sparse(SparseVector(indices: [3], values: [1])), limit: 3)
        let long = NeighbourQuery(
            vector: .sparse(SparseVector(indices: (0..<100_000).map { UInt32($0) }, values: [Float](repeating: 1, count: 100_000))),
            limit: 3)
        #expect(Self.work(sparse, short) >= 3000 && Self.work(sparse, long) > Self.inPlace)

        let dense = try Self.table(.dense(dimension: 16, .cosine), points: 3000, sealing: sealing, &random)
        var filtered = NeighbourQuery(vector: .dense(random.vector(16)), limit: 3, isExact: false)
        #expect(Self.work(dense, filtered) <= Self.inPlace)
        // Which rows match is not known: all payloads may have to be read.
        filtered.filter = .text(PayloadPath("text"), .substring("9"))
        #expect(Self.work(dense, filtered) > Self.inPlace)
        guard sealing else { return }
        _ = SnapshotIndex(dense.snapshot()).neighbours(of: filtered, part: 0, of: 1)
        filtered.filter = .equals(PayloadPath("n"), .integer(99))
        _ = dense.snapshot().sealed[0].segment.matching(filtered.filter) { false }
        #expect(Self.work(dense, filtered) <= Self.inPlace, "it is known that few match")
    }

    @Test("what nobody waits for any more ends soon, and is not remembered")
    func abandoned() throws {
        var random = SeededGenerator(seed: 33)
        let table = try Self.table(.dense(dimension: 4, .dot), points: 6000, sealing: true, &random)
        let segment = table.snapshot().sealed[0].segment
        table.apply(at: 2) { writer in
            for number in 0..<1000 {
                random.vector(4).withUnsafeBytes { vector in
                    Array(#"{"text":"9"}"#.utf8).withUnsafeBytes { payload in
                        writer.upsert(.integer(UInt64(100_000 + number)), payload: payload) { _ in vector }
                    }
                }
            }
        }
        let filter = Filter.text(PayloadPath("text"), .substring("9"))
        for isExact in [true, false] {
            let snapshot = table.snapshot()
            snapshot.abandon()
            let query = NeighbourQuery(vector: .dense([1, 2, 3, 4]), limit: 10, filter: filter, isExact: isExact)
            #expect(SnapshotIndex(snapshot).neighbours(of: query, part: 0, of: 1).isEmpty)
        }
        // While it is read.
        let snapshot = table.snapshot()
        var seen = 0
        snapshot.forEachRow { _ in
            seen += 1
            if seen == 100 { snapshot.abandon() }
        }
        #expect(seen == 100)
        snapshot.forEachMatch(of: filter) { _ in seen += 1 }
        #expect(seen == 100 && segment.filters[filter]?.rows == nil)
        let whole = table.snapshot()
        var matches = 0
        whole.forEachMatch(of: filter) { _ in matches += 1 }
        #expect(matches > 1000 && segment.filters[filter]?.rows != nil)
    }

    @Test("filters that are remembered take no more than a few megabytes, however large they are")
    func remembered() {
        let cache = MatchCache()
        for number in 0..<100 {
            let filter = Filter.equals(PayloadPath("a"), .string(ExactString(String(repeating: "x", count: 1 << 20) + "\(number)")))
            cache.keep(.init(share: 0, rows: RowSet(rows: 1000)), of: filter)
            #expect(cache[filter] != nil && cache.bytes <= MatchCache.mostBytes)
        }
        let small = (0..<100).map { Filter.equals(PayloadPath("a"), .integer(Int64($0))) }
        for filter in small { cache.keep(.init(share: 0, rows: RowSet(rows: 1000)), of: filter) }
        #expect(small.count { cache[$0] != nil } == MatchCache.most)
        cache.keep(.init(share: 0, rows: RowSet(rows: 100_000_000)), of: small[0])
        #expect(cache[small[0]] == nil)
    }
}
