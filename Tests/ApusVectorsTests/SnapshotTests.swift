import ApusCatalog
import ApusDatabase
import ApusStore
import ApusTypes
import ApusVectorIndex
import Synchronization
import TestKit
import Testing

@testable import ApusVectors

@Suite("snapshots of collections")
struct SnapshotTests {
    static let fields = [
        VectorField("a", .dense(dimension: 3, .dot)), VectorField("m", .multiple(dimension: 2, .cosine)),
        VectorField("s", .sparse(idf: true)),
    ]

    static func points(_ count: Int) -> [Point] {
        (0..<count).map { number in
            var vectors: [PointVectors.Entry] = [.init("a", .dense([Float(number), 1, -1]))]
            if number % 3 == 0 { vectors.append(.init("m", .multiple([[1, 2], [Float(number), 0]]))) }
            if number % 2 == 0 { vectors.append(.init("s", .sparse(SparseVector(indices: [1, UInt32(number) + 2], values: [1, 2])))) }
            return Point(
                id: .integer(UInt64(number)), vectors: PointVectors(vectors),
                payload: number % 5 == 0 ? nil : Array(#"{"n":\#(number)}"#.utf8))
        }
    }

    @Test("a snapshot holds what was there, over all shards and kinds of vectors, and nothing that came later")
    func roundTrip() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/c.sqlite") { node in
                let service = node.service
                _ = try await service.createCollection(
                    "c", CollectionConfiguration(Self.fields, sharding: Sharding(shards: 3)), settings: #"{"k":1}"#, deadline: node.deadline
                )
                try await service.setPayloadIndex(on: "n", of: "c", to: "{}", deadline: node.deadline)
                let points = Self.points(2500)
                _ = try await service.upsert(points, into: "c", deadline: node.deadline)
                let snapshot = try await service.createSnapshot(of: "c", deadline: node.deadline)
                _ = try await service.delete(matching: .everything, from: "c", deadline: node.deadline)
                for target in ["c", "new"] as [CollectionName] {
                    try await service.recover(target, from: snapshot)
                    let page = try await service.scroll(target, limit: 10_000, with: [.vector, .payload], deadline: node.deadline)
                    #expect(page.points == points)
                    #expect(try await service.settings(of: target, deadline: node.deadline) == #"{"k":1}"#)
                    #expect(try await service.payloadIndexes(of: target, deadline: node.deadline) == ["n": "{}"])
                }
                #expect(try await service.snapshots(of: "c", deadline: node.deadline) == [snapshot])
                // The objects of a deleted collection's snapshots are dropped with it, and none is taken for a stray before.
                #expect(try await node.catalog.objects.unnamed(among: [snapshot.object], leader: nil, deadline: node.deadline) == [])
                try await service.deleteCollection("c", deadline: node.deadline)
                try await node.catalog.retention.sweep(deletedCollections: .zero, deadline: node.deadline)
                #expect(try await node.catalog.objects.counts(deadline: node.deadline).dropped == 1)
            }
        }
    }

    @Test("recovery takes settings and indexes back to what they were, and waits while shards are busy")
    func busyRecovery() async throws {
        var options = SealingTests.eager
        options.sealPolicy.points = 100
        // What is not sealed fills the log after some of the snapshot's frames.
        var log = ShardLog.Options()
        log.unsealedBytes = .kibibytes(80)
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/c.sqlite", options: options, log: log) { node in
                let service = node.service
                _ = try await service.createCollection("c", .init(dimension: 8), settings: #"{"k":1}"#, deadline: node.deadline)
                try await service.setPayloadIndex(on: "n", of: "c", to: "{}", deadline: node.deadline)
                var random = SeededGenerator(seed: 13)
                let points = (0..<3000).map { Point(id: .integer($0), vector: random.vector(8), payload: Array(#"{"n":\#($0)}"#.utf8)) }
                var refused = 0
                for start in stride(from: 0, to: points.count, by: 1000) {
                    try await eventually("the batch fits") {
                        do {
                            _ = try await service.upsert(Array(points[start..<start + 1000]), into: "c", deadline: node.deadline)
                            return true
                        } catch let error as ApusError where error.code == .shardBusy {
                            refused += 1
                            return false
                        }
                    }
                }
                let snapshot = try await service.createSnapshot(of: "c", deadline: node.deadline)
                _ = try await service.configure("c", deadline: node.deadline) { _ in #"{"k":2}"# }
                try await service.setPayloadIndex(on: "n", of: "c", to: #"{"type":"integer"}"#, deadline: node.deadline)
                try await service.setPayloadIndex(on: "other", of: "c", to: "{}", deadline: node.deadline)
                for target in ["c", "new"] as [CollectionName] {
                    try await service.recover(target, from: snapshot)
                    let page = try await service.scroll(target, limit: 10_000, with: [.vector, .payload], deadline: node.deadline)
                    #expect(page.points == points)
                    #expect(try await service.settings(of: target, deadline: node.deadline) == #"{"k":1}"#)
                    #expect(try await service.payloadIndexes(of: target, deadline: node.deadline) == ["n": "{}"])
                }
                #expect(refused > 0, "the limit is not reached by so many points")
            }
        }
    }

    @Test("an upload beyond the most snapshots is refused before anything is replaced; one of a name that is there takes its place")
    func fullOfSnapshots() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/c.sqlite") { node in
                let service = node.service
                _ = try await service.createCollection("c", CollectionConfiguration(Self.fields), deadline: node.deadline)
                _ = try await service.upsert(Self.points(5), into: "c", deadline: node.deadline)
                let snapshot = try await service.createSnapshot(of: "c", deadline: node.deadline)
                let bytes = try await service.content(of: snapshot).reduce(into: [UInt8]()) { $0 += $1 }
                func upload(_ name: String) async throws {
                    let pieces = Pieces([bytes])
                    try await service.recover("c", uploaded: name, checksum: nil) { pieces.next() }
                }
                for number in 1..<100 { try await upload("n\(number)") }
                _ = try await service.upsert(Self.points(9), into: "c", deadline: node.deadline)
                let error = await #expect(throws: ApusError.self) { try await upload("one-too-many") }
                #expect(error?.code == .requestInvalid)
                #expect(try await service.count("c", deadline: node.deadline) == 9)
                try await upload("n7")
                #expect(try await service.count("c", deadline: node.deadline) == 5)
                #expect(try await service.snapshots(of: "c", deadline: node.deadline).count == 100)
            }
        }
    }

    private final class Pieces: Sendable {
        private let rest: Mutex<[[UInt8]]>
        init(_ pieces: [[UInt8]]) { rest = Mutex(pieces) }
        func next() -> [UInt8]? { rest.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
    }

    @Test("bytes that are damaged, cut or anything at all end in an error or in points, never in a trap")
    func damaged() async throws {
        let configuration = CollectionConfiguration(Self.fields)
        let table = PointTable(Self.fields)
        let operation = try EncodedOperation(
            ShardOperation(changes: [.upsert(Self.points(40))]).encoded(at: TestNode.noon, for: Self.fields), fields: Self.fields)
        _ = table.apply(at: 1) { operation.apply(to: &$0) }
        let header = SnapshotHeader(name: "c", configuration: configuration, settings: nil, indexes: [:], positions: [1])
        let writer = SnapshotWriter(header, [table.snapshot()], writtenAt: TestNode.noon)
        var whole: [UInt8] = []
        while let piece = writer.next() { whole += piece }
        #expect(Self.read(whole) == 40)
        var random = SeededGenerator(seed: 8)
        var refused = 0
        for _ in 0..<2000 {
            var bytes = whole
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
            case 1: bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
            default: bytes = SnapshotFormat.magic + (0..<60).map { _ in UInt8.random(in: 0...80, using: &random) }
            }
            if Self.read(bytes) == nil { refused += 1 }
        }
        #expect(refused > 1200)
    }

    /// How many points, fed in pieces of odd sizes; nil if it is refused or not whole.
    private static func read(_ bytes: [UInt8]) -> Int? {
        var reader = SnapshotReader()
        var points = 0
        var fields: [VectorField] = []
        do {
            for start in stride(from: 0, to: bytes.count, by: 97) {
                for frame in try reader.read(Array(bytes[start..<min(bytes.count, start + 97)])) {
                    switch frame.kind {
                    case .header: fields = try SnapshotHeader(frame.bytes).configuration.fields
                    case .points: points += try EncodedOperation.points(frame.bytes, fields).count
                    case .end: break
                    }
                }
            }
        } catch {
            return nil
        }
        return reader.isAtEnd ? points : nil
    }

    @Test("changes below the top level of a payload do what the document says")
    func paths() {
        func assigned(_ payload: String, _ change: String) -> String {
            Array(payload.utf8).withUnsafeBytes { payload in
                Array(change.utf8).withUnsafeBytes { String(decoding: Payload.assigning(payload, $0), as: UTF8.self) }
            }
        }
        #expect(assigned(#"{"a":1}"#, #"["",{"b":2,"a":null}]"#) == #"{"b":2}"#)
        #expect(assigned("", #"["a.b",{"c":1}]"#) == #"{"a":{"b":{"c":1}}}"#)
        #expect(assigned(#"{"a":[1,{"x":1}]}"#, #"["a[]",{"y":2}]"#) == #"{"a":[{"y":2},{"x":1,"y":2}]}"#)
        #expect(assigned(#"{"a":[1,2]}"#, #"["a[1]",{"y":2}]"#) == #"{"a":[1,{"y":2}]}"#)
        #expect(assigned(#"{"a":7}"#, #"["a[1]",{"y":2}]"#) == #"{"a":[]}"#)
        #expect(assigned(#"{"a":7}"#, "no change") == #"{"a":7}"#)
        func removed(_ payload: String, _ paths: String) -> String? {
            Array(payload.utf8).withUnsafeBytes { payload in
                Array(paths.utf8).withUnsafeBytes { Payload.removing(paths: $0, from: payload).map { String(decoding: $0, as: UTF8.self) } }
            }
        }
        #expect(removed(#"{"a":{"b":1,"c":2},"d":[{"e":1},2]}"#, #"["a.b","d[].e","d[1]","none.x"]"#) == #"{"a":{"c":2},"d":[{},2]}"#)
        #expect(removed(#"{"d":[1,2]}"#, #"["d[]"]"#) == #"{"d":[]}"#)
        #expect(removed(#"{"d":1}"#, #"["d"]"#) == nil)
    }
}
