public import ApusDatabase
internal import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Objects as rows of the catalog: the store of a cluster that has no shared directory. For modest sizes.
///
/// An object of at most 1 MiB is one transaction, and can be part of the one that names it (`statements(storing:as:)`). A larger one is
/// written in blocks of 1 MiB, each committed by itself, under an intent; it exists once its description is committed.
public final class CatalogStore: ObjectStore {
    public let place = "catalog"
    private let database: any Database
    private let replicas: ReadReplicas?
    private let limit: ByteCount
    private let usage = Mutex(Usage())
    private static let log = Logger("store")

    private struct Usage {
        var bytes = 0
        /// Of `bytes`; what this process has put since is added to it.
        var asOf = Instant(nanosecondsSinceBoot: .min)
        var hasWarned = false
    }

    /// How long a measured size is trusted. Others may put meanwhile, so the limit may be passed by what they write in that time.
    private static let usageAge: Duration = .seconds(10)
    private static let smallLimit = ObjectFormat.blockSize

    /// `maxBytes`: of all objects; beyond it puts throw `store.full`. At half of it a warning is logged. Objects never change, so `replicas` may
    /// answer for what they have of them.
    public init(database: any Database, replicas: ReadReplicas? = nil, maxBytes: ByteCount = ByteCount(50_000_000_000)) {
        self.database = database
        self.replicas = replicas
        limit = maxBytes
    }

    // MARK: Writing

    /// Statements that store a small object; to be run in the transaction that names it, which then needs no intent. `bytes` are at
    /// most 1 MiB. The caller has asked `requireSpace` before.
    public func statements(storing bytes: [UInt8], as key: ObjectKey) -> (ObjectDescription, [Statement]) {
        precondition(bytes.count <= Self.smallLimit, "an object of more than 1 MiB needs an intent and `put`")
        var sums = ObjectSums()
        if !bytes.isEmpty { bytes.withUnsafeBytes { sums.add(block: $0) } }
        let footer = sums.finish()
        let object = Statement(
            "INSERT INTO apus.stored_object (key, size, digest, checksums, stored_at) SELECT $1, $2, $3, $4, " + clock,
            Self.row(key, footer))
        return (footer.description, [object] + (bytes.isEmpty ? [] : [Self.block(bytes, 0, of: key)]))
    }

    public func put(_ key: ObjectKey, deadline: Instant, _ source: ObjectSource) async throws -> ObjectDescription {
        if case .bytes(let bytes) = source, bytes.count <= Self.smallLimit {
            try await requireSpace(bytes.count, deadline: deadline)
            let (description, statements) = statements(storing: bytes, as: key)
            try await refusingRepeats(of: key) {
                try await database.transaction(.write, on: .write, deadline: deadline) { _ = try await $0.commit(after: statements) }
            }
            return description
        }
        try await refusingRepeats(of: key) {
            _ = try await database.run(
                [Statement("INSERT INTO apus.stored_object (key, stored_at) SELECT $1, " + clock, [.text(key.description)])],
                on: .write, deadline: deadline)
        }
        do {
            return try await writeBlocks(of: key, source, deadline: deadline)
        } catch {
            await discard(key)
            throw error
        }
    }

    private func writeBlocks(of key: ObjectKey, _ source: ObjectSource, deadline: Instant) async throws -> ObjectDescription {
        var sums = ObjectSums()
        var cutter = BlockCutter()
        var blocks: [[UInt8]] = []
        func flush() async throws {
            for block in blocks {
                try await requireSpace(block.count, deadline: deadline)
                let number = sums.blocks.count
                block.withUnsafeBytes { sums.add(block: $0) }
                do {
                    _ = try await database.run([Self.block(block, number, of: key)], on: .write, deadline: deadline)
                } catch let error as ApusError where error.code == .databaseConstraint {
                    throw Self.collected(key, error)
                }
            }
            blocks = []
        }
        switch source {
        case .bytes(let bytes):
            cutter.add(bytes) { blocks.append([UInt8]($0)) }
        case .chunks(let next):
            while let piece = try await next() {
                cutter.add(piece) { blocks.append([UInt8]($0)) }
                try await flush()
            }
        }
        cutter.finish { blocks.append([UInt8]($0)) }
        try await flush()
        let footer = sums.finish()
        let changed = try await database.run(
            [
                Statement(
                    "UPDATE apus.stored_object SET size = $2, digest = $3, checksums = $4 WHERE key = $1 AND size IS NULL",
                    Self.row(key, footer))
            ], on: .write, deadline: deadline)[0].changed
        guard changed == 1 else { throw Self.collected(key, nil) }
        return footer.description
    }

    public func delete(_ key: ObjectKey, deadline: Instant) async throws {
        let rows = try await database.run(
            [Statement("DELETE FROM apus.stored_object WHERE key = $1", [.text(key.description)])], on: .write, deadline: deadline)
        if rows[0].changed > 0 { usage.withLock { $0.asOf = Instant(nanosecondsSinceBoot: .min) } }
    }

    /// Removes what a failed put has written; the collector does what this cannot.
    private func discard(_ key: ObjectKey) async {
        do {
            // A task of its own: the put's may be cancelled, and its rows go all the same.
            let removal = Task { try await delete(key, deadline: BootClock.now.advanced(by: .seconds(2))) }
            try await removal.value
        } catch {
            Self.log.warning("a failed put left rows to the collector", ["key": key.description, "reason": "\(error)"])
        }
    }

    private static func row(_ key: ObjectKey, _ footer: ObjectFooter) -> [SQLValue] {
        [.text(key.description), .integer(Int64(footer.size)), .blob(footer.description.digest.bytes), .blob(footer.checksumBytes)]
    }

    private static func block(_ bytes: [UInt8], _ number: Int, of key: ObjectKey) -> Statement {
        Statement(
            "INSERT INTO apus.stored_block (key, number, bytes) VALUES ($1, $2, $3)",
            [.text(key.description), .integer(Int64(number)), .blob(bytes)])
    }

    private static func collected(_ key: ObjectKey, _ cause: (any Error)?) -> ApusError {
        ApusError(
            .intentLost, "object \(key) was collected while it was written: the write took too long", hint: "begin again", cause: cause)
    }

    private func refusingRepeats(of key: ObjectKey, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as ApusError where error.code == .databaseConstraint {
            throw ApusError.exists(key, in: place)
        }
    }

    // MARK: Space

    /// Throws `store.full` if `bytes` more would pass the limit.
    public func requireSpace(_ bytes: Int, deadline: Instant) async throws {
        let now = BootClock.now
        if usage.withLock({ $0.asOf.advanced(by: Self.usageAge) <= now }) {
            let measured = try await used(deadline: deadline)
            let warns = usage.withLock { usage in
                usage.bytes = measured.bytes
                usage.asOf = now
                defer { usage.hasWarned = measured.bytes > limit.bytes / 2 }
                return !usage.hasWarned && measured.bytes > limit.bytes / 2
            }
            if warns {
                Self.log.warning("the catalog store is more than half full", ["used": measured.description, "limit": limit.description])
            }
        }
        let fits = usage.withLock { usage in
            guard usage.bytes + bytes <= limit.bytes else { return false }
            usage.bytes += bytes
            return true
        }
        guard fits else {
            throw ApusError(
                .storeFull, "the objects in the catalog have reached their limit of \(limit)",
                hint: "give the cluster a store directory, or raise store.catalog.max_bytes", context: ["store": place])
        }
    }

    /// Bytes of all objects, those under way included as far as they are written.
    public func used(deadline: Instant) async throws -> ByteCount {
        let rows = try await database.run(
            [
                Statement("SELECT CAST(COALESCE(SUM(size), 0) AS bigint) FROM apus.stored_object"),
                Statement(
                    """
                    SELECT COUNT(*) FROM apus.stored_block
                    WHERE key IN (SELECT key FROM apus.stored_object WHERE size IS NULL)
                    """),
            ], on: .read, deadline: deadline)
        return ByteCount(Int(try rows[0][0].integer(0)) + Int(try rows[1][0].integer(0)) * ObjectFormat.blockSize)
    }

    // MARK: Reading

    public func read(_ key: ObjectKey, range: Range<Int>?, deadline: Instant) async throws -> [UInt8] {
        let footer = try await footer(of: key, deadline: deadline)
        let range = range ?? 0..<footer.size
        guard range.lowerBound >= 0, range.upperBound <= footer.size else {
            throw ApusError(.requestInvalid, "object \(key) has \(footer.size) bytes, not \(range)")
        }
        guard !range.isEmpty else { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for number in range.lowerBound / ObjectFormat.blockSize...(range.upperBound - 1) / ObjectFormat.blockSize {
            let block = try await block(number, of: key, footer, deadline: deadline)
            let start = number * ObjectFormat.blockSize
            let wanted = range.clamped(to: start..<start + block.count)
            bytes.append(contentsOf: block[wanted.lowerBound - start..<wanted.upperBound - start])
        }
        return bytes
    }

    public func stream(_ key: ObjectKey, deadline: Instant) -> AsyncThrowingStream<[UInt8], any Error> {
        let progress = StreamProgress()
        return AsyncThrowingStream { [self] in
            let footer: ObjectFooter
            if let known = progress.footer { footer = known } else { footer = try await self.footer(of: key, deadline: deadline) }
            guard let number = try progress.begin(key, footer, place: place) else { return nil }
            let block = try await block(number, of: key, footer, deadline: deadline)
            progress.took(block)
            return block
        }
    }

    public func list(deadline: Instant) -> AsyncThrowingStream<ListedObject, any Error> {
        let page = Mutex<(after: String, objects: [ListedObject], isLast: Bool)>(("", [], false))
        return AsyncThrowingStream { [self] in
            if let object = page.withLock({ $0.objects.popLast() }) { return object }
            let (after, isLast) = page.withLock { ($0.after, $0.isLast) }
            guard !isLast else { return nil }
            let rows = try await database.run(
                [
                    Statement(
                        "SELECT key, " + clock + " - stored_at FROM apus.stored_object WHERE key > $1 ORDER BY key LIMIT 1000",
                        [.text(after)])
                ], on: .read, deadline: deadline)[0]
            let objects = try rows.compactMap { row in
                try ObjectKey(row.text(0)).map { ListedObject(key: $0, age: max(.zero, .milliseconds(try row.integer(1)))) }
            }
            let last = try rows.last?.text(0)
            return page.withLock { page in
                page = (last ?? after, objects.reversed(), rows.count < 1000)
                return page.objects.popLast()
            }
        }
    }

    public func probe(deadline: Instant) async throws {
        try await requireSpace(0, deadline: deadline)
        _ = try await database.run([Statement("SELECT 1")], on: .write, deadline: deadline)
    }

    private func footer(of key: ObjectKey, deadline: Instant) async throws -> ObjectFooter {
        let statement = Statement(
            "SELECT size, digest, checksums FROM apus.stored_object WHERE key = $1 AND size IS NOT NULL", [.text(key.description)])
        guard let row = try await row(statement, deadline: deadline) else { throw ApusError.unknown(key, in: place) }
        guard let digest = Digest(bytes: try row.blob(1)) else { throw ApusError.corrupt(key, "its row has no digest", in: place) }
        let size = Int(try row.integer(0))
        return try ObjectFooter(
            description: ObjectDescription(size: ByteCount(size), digest: digest), checksumBytes: row.blob(2), key: key, place: place)
    }

    private func block(_ number: Int, of key: ObjectKey, _ footer: ObjectFooter, deadline: Instant) async throws -> [UInt8] {
        let statement = Statement(
            "SELECT bytes FROM apus.stored_block WHERE key = $1 AND number = $2", [.text(key.description), .integer(Int64(number))])
        guard let row = try await row(statement, deadline: deadline) else {
            throw ApusError.corrupt(key, "block \(number) is missing", in: place)
        }
        let block = try row.blob(0)
        try block.withUnsafeBytes { try footer.verify($0, number: number, key: key, place: place) }
        return block
    }

    /// What a replica has not got yet, the primary may have.
    private func row(_ statement: Statement, deadline: Instant) async throws -> Row? {
        if let row = try await replicas?.read([statement], deadline: deadline)[0].first { return row }
        return try await database.run([statement], on: .read, deadline: deadline)[0].first
    }

    /// The catalog's time in milliseconds since 1970.
    private var clock: StaticSQL { database.dialect == .postgreSQL ? "apus.clock()" : "(SELECT at FROM apus.clock)" }
}
