import ApusRuntime
import ApusTypes
import ApusVectorIndex
import Foundation
import TestKit

/// Our own, as a node has it: a shard whose points are in one sealed segment, mapped from a file, searched as requests search it.
struct SealedIndex: BenchedIndex {
    let name = "apus"
    /// Of the neighbours, how many the search is told to find: what its calibration makes of it.
    let efforts = 0.7...0.9995
    let curve = [0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985, 0.99, 0.994, 0.997, 0.9995]
    /// All that sealing takes, from the points in memory to the bytes of the segment.
    let buildSeconds: Double
    let fileBytes: Int
    /// What a search without exact scores would touch: codes, half floats, links.
    let bytes: Int
    private let snapshot: PointSnapshot

    /// `payload` gives a row's, a JSON object.
    init(_ points: Vectors, in directory: String, payload: (Int) -> [UInt8] = { _ in [] }) async throws {
        let fields = [VectorField(dimension: points.dimension, metric: .cosine)]
        let table = PointTable(fields)
        table.apply(at: 1) { writer in
            for row in points.indices {
                let payload = payload(row)
                points[row].withUnsafeBytes { vector in
                    payload.withUnsafeBytes { payload in
                        writer.upsert(.integer(UInt64(row)), payload: payload.isEmpty ? nil : payload) { _ in vector }
                    }
                }
            }
        }
        let start = Self.cpuSeconds(CLOCK_PROCESS_CPUTIME_ID)
        let builder = SealPlan(sealing: table.snapshot()).builder(threads: VectorsBench.threads)
        let pool = BlockingPool(name: "build", threads: VectorsBench.threads, queueLimit: VectorsBench.threads)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<VectorsBench.threads {
                group.addTask { try await pool.run { while builder.work(thread: thread) {} } }
            }
            try await group.waitForAll()
        }
        builder.prepare()
        let segment = builder.finish([], asOf: 1)
        buildSeconds = Self.cpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - start
        bytes = builder.searchedBytes
        fileBytes = segment.count

        let path = directory + "/segment"
        try Data().write(to: URL(fileURLWithPath: path))
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        while let piece = segment.next() { try file.write(contentsOf: piece) }
        try file.close()
        let mapping = try Mapping(path, count: segment.count)
        let sealed = try Segment(
            mapping.bytes, key: ObjectKey(high: 1, low: 1), fields: fields, owner: mapping, memory: SearchMemory(limit: .gibibytes(1)))
        snapshot = PointTable(fields, segments: [sealed], moment: 1).snapshot()
        progress("apus is built, \(BenchReport.short(buildSeconds)) CPU s")
    }

    private final class Mapping: @unchecked Sendable {  // nobody writes
        let bytes: UnsafeRawBufferPointer

        init(_ path: String, count: Int) throws {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            guard let base = mmap(nil, count, PROT_READ, MAP_PRIVATE, file.fileDescriptor, 0), base != MAP_FAILED else {
                throw ApusError(.inputUnreadable, "cannot map \(path)")
            }
            bytes = UnsafeRawBufferPointer(start: base, count: count)
        }

        deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count) }
    }

    func describe(_ effort: Double) -> String { String(format: "target %.3f", effort) }

    func search(_ numbers: [Int], in set: QuerySet, effort: Double, times: Int) throws -> (seconds: Double, rows: [[Int]]) {
        search(numbers.map { set.queries[$0] }, .everything, recall: Float(effort), times: times)
    }

    /// Without a recall as a request without special wishes is answered.
    func search(_ queries: [[Float]], _ filter: Filter, recall: Float? = nil, times: Int = 1) -> (seconds: Double, rows: [[Int]]) {
        var found: [[Neighbour]] = []
        let start = Self.cpuSeconds(CLOCK_THREAD_CPUTIME_ID)
        for _ in 0..<times { found = queries.map { neighbours(of: $0, filter, recall: recall) } }
        return ((Self.cpuSeconds(CLOCK_THREAD_CPUTIME_ID) - start) / Double(times), found.map(Self.rows))
    }

    private func neighbours(of vector: [Float], _ filter: Filter, recall: Float?) -> [Neighbour] {
        SnapshotIndex(snapshot).neighbours(
            of: NeighbourQuery(vector: .dense(vector), limit: VectorsBench.limit, filter: filter, isExact: false, recall: recall),
            part: 0, of: 1)
    }

    private static func rows(_ hits: [Neighbour]) -> [Int] {
        hits.compactMap { hit in if case .integer(let row) = hit.id { Int(row) } else { nil } }
    }

    private static func cpuSeconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
