internal import CVectorGraph

/// Links between the rows of a table that does not change, in memory or in a mapped file. `GraphBuilder` makes it; `CVectorGraph` says how
/// it is laid out.
public struct VectorGraph: @unchecked Sendable {  // read only
    public let count: Int
    public let degree: Int
    /// Each level's links, from level 0.
    public let links: [UnsafeRawBufferPointer]
    private var plan: apus_graph
    private let owner: any AnyObject & Sendable

    /// `links` (aligned to 4 bytes) stay as long as `owner` lives: `sizes(count:degree:)` says how large each is.
    public init(count: Int, degree: Int, links: [UnsafeRawPointer], owner: any AnyObject & Sendable) {
        self.count = count
        self.degree = degree
        self.owner = owner
        plan = apus_graph()
        apus_graph_plan(UInt32(count), UInt32(degree), &plan)
        precondition(links.count == Int(plan.level_count), "one list of links per level")
        self.links = zip(links, Self.sizes(count: count, degree: degree)).map { UnsafeRawBufferPointer(start: $0, count: $1) }
        withUnsafeMutableBytes(of: &plan.levels) { levels in
            let levels = levels.assumingMemoryBound(to: apus_level.self)
            for (level, list) in links.enumerated() { levels[level].links = list.assumingMemoryBound(to: UInt32.self) }
        }
    }

    /// Bytes of each level's links in a graph over `count` rows.
    public static func sizes(count: Int, degree: Int) -> [Int] {
        var plan = apus_graph()
        apus_graph_plan(UInt32(count), UInt32(degree), &plan)
        return (0..<Int(plan.level_count)).map { Self.count(plan, $0) * degree * 4 }
    }

    static func count(_ plan: apus_graph, _ level: Int) -> Int {
        withUnsafeBytes(of: plan.levels) { Int($0.assumingMemoryBound(to: apus_level.self)[level].count) }
    }

    public var bytes: Int { links.reduce(0) { $0 + $1.count } }

    /// How far a search looks.
    public struct Effort: Sendable, Hashable {
        /// Candidates kept; more find more, and take longer. HNSW's ef.
        public var candidates: Int
        /// Rows that are not followed: those farther than (1 + slack) × the distance of the `rank` nearest. Nil: all candidates are followed.
        public var slack: Float?
        public var rank = 10
        /// Of the candidates, how many are compared again by better codes.
        public var rescored = 32

        public init(candidates: Int, slack: Float? = nil) {
            self.candidates = candidates
            self.slack = slack
        }
    }

    public struct Found: Sendable, Hashable {
        public var row: UInt32
        public var distance: Float
    }

    /// The `limit` nearest rows that are found on `codes`, compared again by `better`, nearest first. For the cosine the query has length 1.
    public func nearest(
        to query: [Float], limit: Int, codes: CodeTable, better: CodeTable? = nil, effort: Effort, scratch: GraphScratch,
        level: InstructionSet = .best
    ) -> [Found] {
        precondition(query.count == codes.coding.dimension && codes.count == count && scratch.rows >= count, "made for one another")
        let candidates = max(effort.candidates, limit)
        let found = scratch.room(for: candidates)
        let memory = scratch.query(bytes: apus_query_bytes(codes.coding.kind.c, UInt32(query.count)))
        var search = apus_search(
            pool: UInt32(candidates), stop_rank: UInt32(max(effort.rank, limit)), slack: effort.slack ?? -1, passing: nil, budget: 0)
        var count = codes.withC { codes in
            var prepared = apus_query()
            var stats = apus_search_stats()
            apus_query_prepare(codes.pointee.coding, query, memory, &prepared)
            return withUnsafePointer(to: plan) {
                apus_graph_search($0, codes, &prepared, &search, level.c, scratch.handle, found, &stats)
            }
        }
        if let better {
            let memory = scratch.query(bytes: apus_query_bytes(better.coding.kind.c, UInt32(query.count)))
            count = better.withC { codes in
                var prepared = apus_query()
                apus_query_prepare(codes.pointee.coding, query, memory, &prepared)
                return apus_rescore(codes, &prepared, level.c, found, min(count, UInt32(max(effort.rescored, limit))), UInt32(limit))
            }
        }
        return (0..<min(Int(count), limit)).map { Found(row: found[$0].row, distance: found[$0].distance) }
    }
}

/// Memory for one search at a time, kept between them.
public final class GraphScratch {
    let rows: Int
    private var capacity: Int
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
