import ApusDatabase
import ApusRuntime
import ApusStore
import ApusTypes
import Glibc
import PowerLossKit
import TestKit
import Testing

@testable import ApusCatalog

/// What was acknowledged before the power went is there afterwards, and nothing is half there.
///
/// A victim's files are recorded while it works; then, for each seed, its power is lost at a random point of the journal, a state that the
/// disk may hold is made, and the real code opens it.
@Suite("power loss laws", .serialized)
struct PowerLossLaws {
    static let seeds = LawSize.scaled(50, full: 1000)

    /// How many of the seeds lost something, and the first few of them.
    struct Losses {
        var seeds = 0
        var first: [String] = []
    }

    /// When the power is lost: while the victim makes what it works with, or while it works.
    private enum Phase { case creation, work }

    /// Loses the power `seeds` times and collects what `verify` finds wrong.
    private func lose(
        _ journal: PowerLossJournal, in phase: Phase = .work, seeds: Int, _ mutation: PowerLossState.Mutation = .none,
        untilFirst: Bool = false, verify: (_ root: String, _ marks: [String]) async -> String?
    ) async throws -> Losses {
        let ready = try #require(journal.index(ofMark: "ready"))
        let range = phase == .work ? ready + 1...journal.records.count : 0...ready
        var random = SeededRandom(seed: 42)
        let cuts = (0..<seeds).map { _ in Int.random(in: range, using: &random) }.sorted()
        var state = PowerLossState(journal, mutation: mutation)
        var losses = Losses()
        // In memory, because nothing that follows depends on a disk any more.
        let root = (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + "/apus-loss-\(getpid())-\(mutation)"
        for (seed, cut) in cuts.enumerated() {
            state.play(to: cut)
            removeTree(root)
            var random = SeededRandom(seed: UInt64(seed))
            state.materialise(at: root, using: &random)
            if let loss = await verify(root, journal.marks(before: cut)) {
                losses.seeds += 1
                if untilFirst { break }
                if losses.first.count < 5 { losses.first.append("seed \(seed), cut \(cut): \(loss)") }
            }
        }
        removeTree(root)
        return losses
    }

    private func record(_ victim: String, count: Int) async throws -> PowerLossJournal {
        let scratch = try TemporaryDirectory()
        let output = try await BlockingPool(name: "lab", threads: 1, queueLimit: 1).run {
            mkdirs(scratch.path + "/root")
            return try Lab.run([victim, scratch.path + "/root", scratch.path + "/journal", "\(count)"], isRecorded: true)
        }
        #expect(output.lines == ["done"])
        return PowerLossJournal(contentsOf: scratch.path + "/journal")
    }

    // MARK: Store

    @Test("every acknowledged object survives, and no object is half there")
    func objects() async throws {
        let journal = try await record("objects", count: Self.objects.count)
        let syncs = journal.syncs
        #expect(syncs.files >= 120 && syncs.directories >= 120, "the recorder saw the store's calls: \(syncs)")
        let losses = try await lose(journal, seeds: Self.seeds, verify: Self.verifyObjects)
        #expect(losses.seeds == 0, "\(losses.first)")
        // The law can fail: without one kind of sync it does.
        for mutation in [PowerLossState.Mutation.withoutFileSyncs, .withoutDirectorySyncs] {
            #expect(try await lose(journal, seeds: 50, mutation, untilFirst: true, verify: Self.verifyObjects).seeds > 0, "\(mutation)")
        }
    }

    /// What the victims write, made once.
    private static let objects = (0..<120).map { PowerLossWorkload.object($0) }
    private static let operations = (0..<(LawSize.isFull ? 600 : 200)).map { PowerLossWorkload.operation($0) }

    private static func verifyObjects(root: String, marks: [String]) async -> String? {
        do {
            let store = try await DirectoryStore.open(
                root + "/store", cluster: "c", expecting: "s", options: .init(reserve: ByteCount(0)), deadline: soon)
            var acknowledged: Set<UInt64> = []
            var touched: Set<UInt64> = []
            for mark in marks {
                let words = mark.split(separator: " ")
                guard words.count == 2, let number = UInt64(words[1]) else { continue }
                if words[0] == "put" { acknowledged.insert(number) } else { touched.insert(number) }
            }
            for number in objects.indices.map(UInt64.init) {
                let key = ObjectKey(high: number &* 0x9E37_79B9_7F4A_7C15, low: number)
                do {
                    let bytes = try await store.read(key, range: nil, deadline: soon)
                    guard bytes == objects[Int(number)] else { return "object \(number) has other bytes" }
                } catch let error as ApusError where error.code == .objectUnknown {
                    if acknowledged.contains(number), !touched.contains(number) { return "object \(number) is gone" }
                }
            }
            return nil
        } catch { return "\(error)" }
    }

    // MARK: SQLite

    @Test("every acknowledged append survives in SQLite, and the log is whole")
    func catalog() async throws {
        let journal = try await record("catalog", count: Self.operations.count)
        #expect(journal.syncs.files >= 50, "the recorder saw SQLite's calls: \(journal.syncs)")
        let losses = try await lose(journal, seeds: Self.seeds, verify: Self.verifyCatalog)
        #expect(losses.seeds == 0, "\(losses.first)")
        for mutation in [PowerLossState.Mutation.withoutFileSyncs, .withoutDirectorySyncs] {
            #expect(try await lose(journal, seeds: 50, mutation, untilFirst: true, verify: Self.verifyCatalog).seeds > 0, "\(mutation)")
        }
    }

    @Test("a SQLite catalog whose creation was cut is none, and is made anew, or a whole one; one that was opened stays")
    func creation() async throws {
        let journal = try await record("catalog", count: 1)
        let scratch = try TemporaryDirectory()
        // Each migration is a transaction of its own: after any of them the catalog is whole, as one that an older Apus has left.
        var whole: [Set<String>] = []
        for count in 1...Migration.all.count {
            let reference = try await SQLiteDatabase.open(path: scratch.path + "/catalog-\(count).db")
            let migrator = Migrator(database: reference, migrations: Array(Migration.all.prefix(count)), version: "test")
            try await migrator.migrate(deadline: soon)
            whole.append(try await Self.schema(of: reference))
            await reference.close()
        }
        #expect(whole.allSatisfy { $0.count > 15 })
        var found = (none: 0, whole: 0)
        let losses = try await lose(journal, in: .creation, seeds: Self.seeds) { root, marks in
            await Self.verifyCreation(root: root, marks: marks, whole: whole, found: &found)
        }
        #expect(losses.seeds == 0, "\(losses.first)")
        #expect(found.none > 0 && found.whole > 0, "\(found)")
        for mutation in [PowerLossState.Mutation.withoutFileSyncs, .withoutDirectorySyncs] {
            let noticed = try await lose(journal, in: .creation, seeds: 300, mutation, untilFirst: true) { root, marks in
                await Self.verifyCreation(root: root, marks: marks, whole: whole, found: &found)
            }
            #expect(noticed.seeds > 0, "\(mutation)")
        }
    }

    /// What the file holds, without making anything.
    private static func schema(of database: SQLiteDatabase) async throws -> Set<String> {
        let rows = try await database.run([Statement("SELECT type || ' ' || name FROM apus.sqlite_schema")], on: .read, deadline: soon)[0]
        return Set(try rows.map { try $0.text(0) })
    }

    private static func verifyCreation(
        root: String, marks: [String], whole: [Set<String>], found: inout (none: Int, whole: Int)
    ) async -> String? {
        do {
            let database = try await SQLiteDatabase.open(path: root + "/catalog.db")
            do {
                let loss = try await creationLoss(of: database, marks: marks, whole: whole, found: &found)
                await database.close()
                return loss
            } catch {
                await database.close()
                return "\(error)"
            }
        } catch { return "\(error)" }
    }

    private static func creationLoss(
        of database: SQLiteDatabase, marks: [String], whole: [Set<String>], found: inout (none: Int, whole: Int)
    ) async throws -> String? {
        let schema = try await schema(of: database)
        guard schema.isEmpty || whole.contains(schema) else { return "half a catalog: \(schema.sorted())" }
        if schema.isEmpty { found.none += 1 } else { found.whole += 1 }
        let catalog = try await Catalog.open(database, clock: BootClock())
        let opened = try await Self.schema(of: database)
        guard opened == whole.last else { return "half a catalog, and it was opened: \(opened.sorted())" }
        // The victim may have told others which cluster this is.
        if let opened = marks.first(where: { $0.hasPrefix("opened ") }), opened != "opened \(catalog.identity.id)" {
            return "another cluster: \(opened), now \(catalog.identity.id)"
        }
        let collections = try await catalog.collections.list(deadline: soon)
        guard collections.count <= 1, collections.allSatisfy({ $0.shards.count == 2 }) else { return "half a collection" }
        if marks.contains("created"), collections.isEmpty { return "the collection is gone" }
        // What was found works.
        let shards =
            if let collection = collections.first {
                collection.shards
            } else {
                try await catalog.collections.create("c", configuration: "{}", shardCount: 2, deadline: soon).shards
            }
        let appends = shards.map { LogAppend(shard: $0, operation: [1]) }
        let outcome = try await catalog.log.append(AppendRequest(appends: appends), deadline: soon)
        guard shards.allSatisfy({ outcome.positions[$0]?.sequence == 1 }) else { return "a new shard has a past" }
        return nil
    }

    /// An operation begins with its number.
    private static func seed(of operation: [UInt8]) -> Int? {
        guard operation.count >= 8 else { return nil }
        let seed = operation.prefix(8).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        return seed < UInt64(operations.count) ? Int(seed) : nil
    }

    private static func verifyCatalog(root: String, marks: [String]) async -> String? {
        do {
            let database = try await SQLiteDatabase.open(path: root + "/catalog.db")
            let loss = await verifyLog(of: database, marks)
            await database.close()
            return loss
        } catch { return "\(error)" }
    }

    private static func verifyLog(of database: SQLiteDatabase, _ marks: [String]) async -> String? {
        do {
            let catalog = try await Catalog.open(database, clock: BootClock())
            var records: [String: [LogRecord]] = [:]
            for shard in try await catalog.collections.list(deadline: soon).flatMap(\.shards) {
                var position = LogPosition.beginning(of: catalog.incarnation)
                while case let page = try await catalog.log.read(shard, from: position, limit: .mebibytes(64), deadline: soon),
                    !page.isEmpty
                {
                    for record in page {
                        guard record.sequence == position.sequence + 1 else { return "shard \(shard) has a gap at \(record.sequence)" }
                        guard record.digest == position.digest.chained(with: Digest(of: record.operation)) else {
                            return "shard \(shard) has a broken chain at \(record.sequence)"
                        }
                        guard seed(of: record.operation).map({ Self.operations[$0] }) == record.operation else {
                            return "an operation is damaged"
                        }
                        position = LogPosition(incarnation: position.incarnation, sequence: record.sequence, digest: record.digest)
                    }
                    records["\(shard)", default: []] += page
                }
            }
            for mark in marks {
                let words = mark.split(separator: " ").map(String.init)
                guard words.count == 5, let sequence = Int(words[2]) else { continue }
                let log = records[words[1]] ?? []
                guard sequence <= log.count else { return "append \(sequence) of shard \(words[1]) is gone" }
                guard "\(log[sequence - 1].digest)" == words[3], Int(words[4]).map({ Self.operations[$0] }) == log[sequence - 1].operation
                else { return "append \(sequence) of shard \(words[1]) is another one" }
            }
            return nil
        } catch { return "\(error)" }
    }
}

func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
