import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusStore
import ApusTypes
import DatabaseTestKit
import Glibc
import PowerLossKit
import TestKit

/// The implementations that obey one law.
enum StoreKind: String, CaseIterable, Sendable {
    case directory, sqlite, postgreSQL

    static let databases: [StoreKind] = [.sqlite, .postgreSQL]

    /// A new, empty database of this kind.
    func newDatabase(in scratch: Scratch) async throws -> any Database {
        if self == .sqlite { return try await SQLiteDatabase.open(path: scratch.path + "/catalog.db") }
        return try await PostgreSQLDatabase.open(url: PostgreSQLServer.shared().newDatabase(), loops: TestLoops.shared, deadline: soon)
    }
}

/// A new, empty store, and the way to damage what it has stored.
struct StoreUnderTest: Sendable {
    let scratch: Scratch
    let store: any ObjectStore
    let database: (any Database)?
    let damage: @Sendable (ObjectKey, Damage) async throws -> Void

    enum Damage: Sendable {
        /// One bit of what is kept of the object, checksums included, chosen by the number.
        case flip(bit: UInt64)
        /// Only that many thousandths of it are left.
        case truncate(thousandths: Int)
    }

    static func make(_ kind: StoreKind) async throws -> StoreUnderTest {
        let scratch = Scratch()
        switch kind {
        case .directory:
            let path = scratch.path + "/store"
            let cluster = ClusterID("c")
            _ = try await DirectoryStore.initialise(path, cluster: cluster, store: "s", deadline: soon)
            let store = try await DirectoryStore.open(path, cluster: cluster, options: .init(reserve: ByteCount(0)), deadline: soon)
            return StoreUnderTest(scratch: scratch, store: store, database: nil) { key, damage in
                guard let file = files(under: path).first(where: { $0.hasSuffix(key.description) }) else {
                    throw ApusError(.objectUnknown, "no file")
                }
                try Self.damage(file: file, damage)
            }
        case .sqlite, .postgreSQL:
            let database = try await kind.newDatabase(in: scratch)
            _ = try await Catalog.open(database, clock: BootClock())
            return StoreUnderTest(scratch: scratch, store: CatalogStore(database: database), database: database) { key, damage in
                try await Self.damage(rowsOf: key, in: database, damage)
            }
        }
    }

    func end() async { await database?.close() }

    static func damage(file: String, _ damage: Damage) throws {
        let descriptor = open(file, O_RDWR)
        precondition(descriptor >= 0, "the object's file can be opened")
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        switch damage {
        case .flip(let bit):
            let bit = bit % UInt64(size * 8)
            var byte: UInt8 = 0
            pread(descriptor, &byte, 1, off_t(bit / 8))
            byte ^= 1 << UInt8(bit % 8)
            pwrite(descriptor, &byte, 1, off_t(bit / 8))
        case .truncate(let thousandths): ftruncate(descriptor, off_t(size * thousandths / 1000))
        }
    }

    /// Rows are not bytes of a file; what can be damaged are the blocks, the digest and the checksums.
    private static func damage(rowsOf key: ObjectKey, in database: any Database, _ damage: Damage) async throws {
        let name = SQLValue.text(key.description)
        let rows = try await database.run(
            [
                Statement("SELECT number, bytes FROM apus.stored_block WHERE key = $1 ORDER BY number", [name]),
                Statement("SELECT digest, checksums FROM apus.stored_object WHERE key = $1", [name]),
            ], on: .read, deadline: soon)
        var parts: [(SQLValue, [UInt8])] = try rows[0].map { (.integer(try $0.integer(0)), try $0.blob(1)) }
        parts.append((.text("digest"), try rows[1][0].blob(0)))
        parts.append((.text("checksums"), try rows[1][0].blob(1)))
        switch damage {
        case .flip(let bit):
            var bit = bit % UInt64(parts.reduce(0) { $0 + $1.1.count } * 8)
            for (number, bytes) in parts {
                guard bit >= UInt64(bytes.count * 8) else {
                    var flipped = bytes
                    flipped[Int(bit / 8)] ^= 1 << UInt8(bit % 8)
                    try await replace(number, by: flipped, of: name, in: database)
                    return
                }
                bit -= UInt64(bytes.count * 8)
            }
        case .truncate(let thousandths):
            let (number, bytes) = parts[0]
            try await replace(number, by: Array(bytes.prefix(bytes.count * thousandths / 1000)), of: name, in: database)
        }
    }

    private static func replace(_ part: SQLValue, by bytes: [UInt8], of key: SQLValue, in database: any Database) async throws {
        let statement =
            switch part {
            case .integer: Statement("UPDATE apus.stored_block SET bytes = $3 WHERE key = $1 AND number = $2", [key, part, .blob(bytes)])
            case .text("digest"): Statement("UPDATE apus.stored_object SET digest = $2 WHERE key = $1", [key, .blob(bytes)])
            default: Statement("UPDATE apus.stored_object SET checksums = $2 WHERE key = $1", [key, .blob(bytes)])
            }
        _ = try await database.run([statement], on: .write, deadline: soon)
    }
}
