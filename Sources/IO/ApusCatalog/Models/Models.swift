internal import ApusDatabase
public import ApusTypes

/// One row of `model`.
public struct ModelRow: Sendable, Hashable {
    public var name: String
    /// The object with its weights and all that belongs to them.
    public var object: ObjectKey
    public var size: ByteCount
    /// JSON that the service which owns models understands.
    public var description: String
    public var createdAt: WallTime
}

extension Topic {
    public static let model: Topic = "model"
}

/// The models of the cluster, each an object of the store. A model never changes: another one of its name is another row. Every change has
/// an entry in the feed (`Topic.model`, the name as key).
public final class Models: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Names an object that was put under an intent. Throws `model.exists` and `object.intent_lost`.
    public func add(
        _ name: String, object: ObjectKey, size: ByteCount, description: String, deadline: Instant
    ) async throws -> ModelRow {
        try await access.transaction(deadline: deadline) { transaction in
            try await ObjectIntents.settle([object], in: transaction)
            let rows = try await transaction.run(
                Statement(
                    "INSERT INTO apus.model (name, object, size, description, created_at) VALUES ($1, $2, $3, $4, "
                        + transaction.dialect.clock + ") ON CONFLICT (name) DO NOTHING RETURNING created_at",
                    [.text(name), .text(object.description), .integer(Int64(size.bytes)), .text(description)]))
            guard let row = rows.first else { throw Self.exists(name) }
            transaction.publish(.model, key: name)
            return ModelRow(
                name: name, object: object, size: size, description: description,
                createdAt: WallTime(millisecondsSinceEpoch: try row.integer(0)))
        }
    }

    /// Removes the row; its object is collected once every node has passed it. `isUsed` is asked with the configuration of every
    /// collection as it is then. Throws `model.unknown`, and `model.in_use` naming a collection.
    public func remove(_ name: String, unless isUsed: @Sendable (String) -> Bool, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run([
                Statement("DELETE FROM apus.model WHERE name = $1 RETURNING object", [.text(name)]),
                Statement("SELECT name, configuration FROM apus.collection ORDER BY name"),
            ])
            guard let row = rows[0].first, let key = ObjectKey(try row.text(0)) else { throw Self.unknown(name) }
            for collection in rows[1] where isUsed(try collection.text(1)) {
                throw ApusError(
                    .modelInUse, "collection '\(try collection.text(0))' is embedded with the model '\(name)'",
                    hint: "delete the collection first, or keep the model")
            }
            try await ObjectIntents.drop([key], in: transaction)
            transaction.publish(.model, key: name)
        }
    }

    /// By name.
    public func list(deadline: Instant) async throws -> [ModelRow] {
        try await access.read(Statement(Self.selection + " ORDER BY name"), deadline: deadline).map(Self.model(row:))
    }

    public func find(_ name: String, deadline: Instant) async throws -> ModelRow? {
        try await access.read(Statement(Self.selection + " WHERE name = $1", [.text(name)]), deadline: deadline).first.map(Self.model(row:))
    }

    public static func unknown(_ name: String) -> ApusError {
        ApusError(.modelUnknown, "there is no model '\(name)'", hint: "apus model list", context: ["model": name])
    }

    public static func exists(_ name: String) -> ApusError {
        ApusError(.modelExists, "there is a model '\(name)' already", hint: "choose another name with --name, or remove that one first")
    }

    private static let selection: StaticSQL = "SELECT name, object, size, description, created_at FROM apus.model"

    private static func model(row: Row) throws -> ModelRow {
        guard let key = ObjectKey(try row.text(1)) else {
            throw ApusError(.databaseRejected, "a row of the catalog does not hold an object's key")
        }
        return ModelRow(
            name: try row.text(0), object: key, size: ByteCount(Int(try row.integer(2))), description: try row.text(3),
            createdAt: WallTime(millisecondsSinceEpoch: try row.integer(4)))
    }
}
