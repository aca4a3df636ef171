internal import CVectorGraph
internal import Synchronization

/// Links between the rows of a table that does not change, in memory or in a mapped file. `GraphBuilder` makes it; `CVectorGraph` says how
/// it is laid out.
public struct VectorGraph: @unchecked Sendable {  // read only
    public let count: Int
    public let degree: Int
    /// `degree` rows for each row, nearest first; ended by ~0 where there are fewer.
    public let links: UnsafeBufferPointer<UInt32>
    private let owner: any AnyObject & Sendable

    /// `links` (aligned to 4 bytes) stay as long as `owner` lives.
    public init(count: Int, degree: Int, links: UnsafeRawPointer, owner: any AnyObject & Sendable) {
        precondition((1...APUS_MOST_LINKS).contains(degree), "a row has 1 to 64 links")
        self.count = count
        self.degree = degree
        self.links = UnsafeBufferPointer(start: links.assumingMemoryBound(to: UInt32.self), count: count * degree)
        self.owner = owner
    }

    public var bytes: Int { links.count * 4 }

    var slab: SlabBytes { SlabBytes(bytes: UnsafeRawBufferPointer(links), owner: owner) }

    /// How far a search looks.
    public struct Effort: Sendable, Hashable {
        /// Candidates kept; more find more, and take longer. HNSW's ef.
        public var candidates: Int
        /// Rows that are not followed: those farther than (1 + slack) × the distance of the `rank` nearest. Nil: all candidates are followed.
        public var slack: Float?
        public var rank = 10
        /// Rows farther than this, as codes give distances, are not asked for; with `slack` the search ends the sooner.
        public var bound = Float.infinity
        /// Of the candidates, how many are compared again by better codes.
        public var rescored = Self.rescoredRows
        static let rescoredRows = 32
        /// Distances after which the search is given up; 0: none.
        public var budget = 0

        public init(candidates: Int, slack: Float? = nil) {
            self.candidates = candidates
            self.slack = slack
        }
    }

    public struct Found: Sendable, Hashable {
        public var row: UInt32
        public var distance: Float
    }

    /// A row compared exactly.
    struct Settled {
        var row: UInt32
        var score: Float
    }

    /// The nearest rows that are found on `codes`, compared again by `better` as far as one may be among the `limit` nearest, in order; nil if
    /// the budget was not enough. For the cosine the query has length 1. Rows that are not accepted are followed, but not found.
    public func nearest(
        to query: [Float], limit: Int, codes: CodeTable, better: CodeTable? = nil, effort: Effort, scratch: GraphScratch,
        level: InstructionSet = .best, accepting: Acceptance? = nil
    ) -> [Found]? {
        precondition(query.count == codes.coding.dimension && codes.count == count && scratch.rows >= count, "made for one another")
        let candidates = max(effort.candidates, limit)
        let wanted = min(candidates, max(effort.rescored, limit))
        let found = scratch.room(for: candidates)
        let memory = scratch.query(bytes: apus_query_bytes(codes.coding.kind.c, UInt32(query.count)))
        var search = apus_search(
            pool: UInt32(candidates), wanted: UInt32(wanted), stop_rank: UInt32(min(wanted, max(effort.rank, limit))),
            slack: effort.slack ?? -1, bound: effort.bound, accepts: nil, context: nil, budget: UInt64(effort.budget))
        if let accepting {
            search.accepts = { context, row in Unmanaged<Acceptance>.fromOpaque(context!).takeUnretainedValue().accepts(row) }  // set below
            search.context = Unmanaged.passUnretained(accepting).toOpaque()
        }
        var isExhausted = false
        var reach = Float.infinity
        let count = codes.withC { codes in
            var prepared = apus_query()
            apus_query_prepare(codes.pointee.coding, query, memory, &prepared)
            reach = effort.bound + prepared.noise
            var graph = apus_graph(links: links.baseAddress, count: UInt32(self.count), degree: UInt32(degree))
            return apus_graph_search(&graph, codes, &prepared, &search, level.c, scratch.handle, found, &isExhausted)
        }
        if isExhausted { return nil }
        var among = min(Int(count), wanted)
        // Who asks for some only wants to know whether there are enough of them.
        while accepting == nil, among > 0, found[among - 1].distance > reach { among -= 1 }
        return CodeTable.refined(to: query, limit: limit, among: among, better: better, scratch: scratch, level: level)
    }
}

extension CodeTable {
    /// The `wanted` nearest of `rows`, in order; compared again by `better` as far as one may be among the `limit` nearest.
    func nearest(
        to query: [Float], among rows: [UInt32], limit: Int, better: CodeTable? = nil, wanted: Int, scratch: GraphScratch,
        level: InstructionSet = .best
    ) -> [VectorGraph.Found] {
        let found = scratch.room(for: wanted)
        let memory = scratch.query(bytes: apus_query_bytes(coding.kind.c, UInt32(query.count)))
        let count = withC { codes in
            var prepared = apus_query()
            apus_query_prepare(codes.pointee.coding, query, memory, &prepared)
            return apus_codes_nearest(codes, &prepared, level.c, rows, rows.count, scratch.handle, UInt32(wanted), found)
        }
        return Self.refined(to: query, limit: limit, among: Int(count), better: better, scratch: scratch, level: level)
    }

    /// The best of what a search has left in `scratch`, compared again by `better`.
    fileprivate static func refined(
        to query: [Float], limit: Int, among count: Int, better: CodeTable?, scratch: GraphScratch, level: InstructionSet
    ) -> [VectorGraph.Found] {
        let found = scratch.room(for: count)
        var count = count
        if let better {
            let memory = scratch.query(bytes: apus_query_bytes(better.coding.kind.c, UInt32(query.count)))
            count = better.withC { codes in
                var prepared = apus_query()
                apus_query_prepare(codes.pointee.coding, query, memory, &prepared)
                return Int(apus_rescore(codes, &prepared, level.c, found, UInt32(count), UInt32(limit)))
            }
        }
        return (0..<count).map { VectorGraph.Found(row: found[$0].row, distance: found[$0].distance) }
    }
}

extension [VectorGraph.Found] {
    /// The `limit` nearest by their exact distances, in order. The first are compared in any case, the others as long as one may come among
    /// the best of those, judged by how much the codes have erred.
    func settled(_ limit: Int, _ metric: Metric, exact: (UInt32) -> Float) -> [VectorGraph.Settled] {
        var nearest = NearestRows(limit: limit)
        var scores: [Float] = []
        var sum = 0.0, squares = 0.0
        for (number, found) in enumerated() {
            if number >= limit {
                let mean = sum / Double(number), deviation = Swift.max(0, squares / Double(number) - mean * mean).squareRoot()
                if Double(found.distance) + mean - 3 * deviation > Double(nearest.bound) { break }
            }
            let score = exact(found.row), distance = metric.distance(ofScore: score), error = Double(distance) - Double(found.distance)
            sum += error
            squares += error * error
            scores.append(score)
            nearest.offer(UInt32(number), distance)
        }
        return nearest.rows.map { VectorGraph.Settled(row: self[Int($0.row)].row, score: scores[Int($0.row)]) }
    }
}

/// Says which rows a search wants.
public final class Acceptance {
    fileprivate let accepts: (UInt32) -> Bool
    public init(_ accepts: @escaping (UInt32) -> Bool) { self.accepts = accepts }
}

/// Memory for one search at a time, kept between them.
public final class GraphScratch {
    let rows: Int
    private(set) var capacity: Int
    private(set) var handle: OpaquePointer
    private var found: UnsafeMutablePointer<apus_found>
    private var memory: Slab

    public init(rows: Int) {
        self.rows = rows
        capacity = 256
        handle = Self.make(rows, capacity)
        found = .allocate(capacity: capacity)
        memory = Slab(4096)
    }

    deinit {
        apus_scratch_free(handle)
        found.deallocate()
    }

    /// Keeps what is there, unless there is too little room.
    func room(for candidates: Int) -> UnsafeMutablePointer<apus_found> {
        if candidates > capacity {
            apus_scratch_free(handle)
            found.deallocate()
            capacity = max(candidates, 2 * capacity)
            handle = Self.make(rows, capacity)
            found = .allocate(capacity: capacity)
        }
        return found
    }

    func query(bytes: Int) -> UnsafeMutableRawPointer {
        if bytes > memory.bytes.count { memory = Slab(bytes) }
        return memory.bytes.baseAddress!  // a slab is never without memory
    }

    private static func make(_ rows: Int, _ capacity: Int) -> OpaquePointer {
        guard let handle = apus_scratch_make(UInt32(rows), UInt32(capacity)) else { fatalError("out of memory for a search") }
        return handle
    }
}

/// Scratch memory that waits for the next search, a few pieces of it.
final class ScratchPool: Sendable {
    static let shared = ScratchPool()
    private let waiting = Mutex<[Waiting]>([])
    private static let most = 16
    /// Few searches want more candidates: memory for those is given back.
    private static let mostCandidates = 4096

    private struct Waiting: @unchecked Sendable {  // one owner at a time
        let scratch: GraphScratch
    }

    /// Candidates that the pieces which wait have room for, together.
    var capacity: Int { waiting.withLock { $0.reduce(0) { $0 + $1.scratch.capacity } } }

    func with<Value>(rows: Int, _ body: (GraphScratch) -> Value) -> Value {
        let found = waiting.withLock { waiting -> Waiting? in
            waiting.firstIndex { $0.scratch.rows >= rows }.map { waiting.remove(at: $0) }
        }
        let scratch = found ?? Waiting(scratch: GraphScratch(rows: rows))
        defer {
            waiting.withLock { waiting in
                guard scratch.scratch.capacity <= Self.mostCandidates else { return }
                if waiting.count >= Self.most { waiting.removeFirst() }  // perhaps one of a size that nobody needs any more
                waiting.append(scratch)
            }
        }
        return body(scratch.scratch)
    }
}
