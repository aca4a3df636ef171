internal import ApusDatabase
public import ApusTypes

/// One row of `snapshot`: an object of the store that holds a collection as it was.
public struct SnapshotRow: Sendable, Hashable {
    public var name: String
    public var object: ObjectKey
    public var size: ByteCount
    /// Of all its bytes (SHA-256).
    public var digest: Digest
    public var createdAt: WallTime
}

/// The snapshots of collections. A row names its object, so the object lives as long as the row.
public final class Snapshots: Sendable {
    /// Of one collection.
    public static let most = 100

    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Names an object that was put under an intent. Throws `collection.unknown`, `request.invalid` when there are too many, and
    /// `object.intent_lost`.
    public func add(
        _ name: String, object: ObjectKey, size: ByteCount, digest: Digest, to collection: CollectionID, deadline: Instant
    ) async throws -> SnapshotRow {
        try await access.transaction(deadline: deadline) { transaction in
            let there = try await transaction.run([
                Statement(
                    transaction.dialect == .postgreSQL
                        ? "SELECT id FROM apus.collection WHERE id = $1 FOR UPDATE" : "SELECT id FROM apus.collection WHERE id = $1",
                    [.integer(collection.value)]),
                // One of the same name, uploaded again, gives way below.
                Statement(
                    "SELECT COUNT(*) FROM apus.snapshot WHERE collection = $1 AND name <> $2", [.integer(collection.value), .text(name)]),
            ])
            guard !there[0].isEmpty else { throw ApusError(.collectionUnknown, "the collection was deleted meanwhile") }
            guard try there[1][0].integer(0) < Self.most else {
                throw ApusError(.requestInvalid, "a collection has at most \(Self.most) snapshots", hint: "delete some of them")
            }
            try await Self.drop(
                Statement(
                    "DELETE FROM apus.snapshot WHERE collection = $1 AND name = $2 RETURNING object",
                    [.integer(collection.value), .text(name)]), in: transaction)
            try await ObjectIntents.settle([object], in: transaction)
            let rows = try await transaction.run(
                Statement(
                    "INSERT INTO apus.snapshot (collection, name, object, size, digest, created_at) VALUES ($1, $2, $3, $4, $5, "
                        + transaction.dialect.clock + ") RETURNING created_at",
                    [
                        .integer(collection.value), .text(name), .text(object.description), .integer(Int64(size.bytes)),
                        .blob(digest.bytes),
                    ]))
            return SnapshotRow(
                name: name, object: object, size: size, digest: digest,
                createdAt: WallTime(millisecondsSinceEpoch: try rows[0].integer(0)))
        }
    }

    /// Oldest first.
    public func list(of collection: CollectionID, deadline: Instant) async throws -> [SnapshotRow] {
        let rows = try await access.read(
            Statement(
                "SELECT name, object, size, digest, created_at FROM apus.snapshot WHERE collection = $1 ORDER BY created_at, name",
                [.integer(collection.value)]), deadline: deadline)
        return try rows.map { row in
            guard let object = ObjectKey(try row.text(1)) else {
                throw ApusError(.databaseRejected, "a row of the catalog does not hold an object's key")
            }
            return SnapshotRow(
                name: try row.text(0), object: object, size: ByteCount(Int(try row.integer(2))), digest: try Digest(row: row, column: 3),
                createdAt: WallTime(millisecondsSinceEpoch: try row.integer(4)))
        }
    }

    /// False if there is none of that name. Its object is collected later.
    public func remove(_ name: String, of collection: CollectionID, deadline: Instant) async throws -> Bool {
        try await access.transaction(deadline: deadline) { transaction in
            try await Self.drop(
                Statement(
                    "DELETE FROM apus.snapshot WHERE collection = $1 AND name = $2 RETURNING object",
                    [.integer(collection.value), .text(name)]), in: transaction) > 0
        }
    }

    /// All of a collection that is deleted in this transaction.
    static func removeAll(of collection: CollectionID, in transaction: CatalogTransaction) async throws {
        try await drop(
            Statement("DELETE FROM apus.snapshot WHERE collection = $1 RETURNING object", [.integer(collection.value)]), in: transaction)
    }

    @discardableResult
    private static func drop(_ deletion: Statement, in transaction: CatalogTransaction) async throws -> Int {
        let keys = try await transaction.run(deletion).compactMap { ObjectKey(try $0.text(0)) }
        try await ObjectIntents.drop(keys, in: transaction)
        return keys.count
    }
}
