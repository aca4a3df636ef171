internal import ApusDatabase
internal import ApusMembership
internal import ApusTypes

/// The SQL of leases and of sessions, which are leases on a node's name.
struct LeaseRows: Sendable {
    enum Table: Sendable { case lease, session }

    private let access: CatalogAccess
    private let table: Table
    private let name: SQLValue
    private let holder: SQLValue
    private let length: SQLValue

    init(access: CatalogAccess, table: Table, name: String, holder: String, length: Duration) {
        self.access = access
        self.table = table
        self.name = .text(name)
        self.holder = .text(holder)
        self.length = .integer(length.milliseconds)
    }

    private var clock: StaticSQL { access.dialect.clock }
    private var rows: StaticSQL { table == .lease ? "apus.lease" : "apus.session" }
    private var key: StaticSQL { table == .lease ? "name" : "node" }
    private var owner: StaticSQL { table == .lease ? "holder" : "process" }

    /// The row; made if there is none yet.
    func observe(deadline: Instant) async throws -> LeaseObservation {
        if let row = try await read(deadline: deadline) { return row }
        let columns: StaticSQL = table == .lease ? ")" : ", report)"
        let values: StaticSQL = table == .lease ? ")" : ", '')"
        try access.requireWritable()
        let insertion: StaticSQL = "INSERT INTO " + rows + " (" + key + ", " + owner + ", epoch, expires_at, renewals" + columns
        _ = try await access.database.run(
            [Statement(insertion + " VALUES ($1, '', 0, 0, 0" + values + " ON CONFLICT DO NOTHING", [name])], on: .duty, deadline: deadline)
        guard let row = try await read(deadline: deadline) else {
            throw ApusError(.catalogUnavailable, "the row of a lease vanished", retry: .immediately)
        }
        return row
    }

    private func read(deadline: Instant) async throws -> LeaseObservation? {
        let selection: StaticSQL = "SELECT " + owner + ", epoch, renewals, expires_at <= " + clock + " FROM " + rows
        let found = try await access.database.run(
            [Statement(selection + " WHERE " + key + " = $1", [name]), Incarnation.statement(access.dialect)],
            on: .duty, deadline: deadline)
        let history = try Incarnation(row: found[1][0]).description
        return try found[0].first.map { row in
            let owner = row.isNull(0) ? "" : try row.text(0)
            return LeaseObservation(
                holder: owner.isEmpty ? nil : owner, epoch: Epoch(try row.integer(1)), renewals: try row.integer(2),
                isExpired: try row.bool(3), history: history)
        }
    }

    /// Takes the row if it is as it was seen. Grants are as durable as the catalog is.
    func take(_ seen: LeaseObservation, deadline: Instant) async throws -> Epoch? {
        try access.requireWritable()
        // FOR UPDATE waits for the effects that an older epoch has under way, which hold FOR KEY SHARE; renewals wait for neither.
        let lock: StaticSQL = "SELECT 1 FROM " + rows + " WHERE " + key + " = $1" + (access.dialect == .postgreSQL ? " FOR UPDATE" : "")
        let update: StaticSQL =
            "UPDATE " + rows + " SET " + owner + " = $2, epoch = epoch + 1, renewals = renewals + 1, expires_at = " + clock + " + $3 WHERE "
        let taken = try await access.database.transaction(.write.lockTimeout(OperationSQL.lockTimeout), on: .duty, deadline: deadline) {
            [name, holder, length] transaction in
            try await transaction.commit(after: [
                Statement(lock, [name]),
                Statement(
                    update + key + " = $1 AND epoch = $4 AND renewals = $5 RETURNING epoch",
                    [name, holder, length, .integer(seen.epoch.value), .integer(seen.renewals)]),
            ])[1]
        }
        return try taken.first.map { Epoch(try $0.integer(0)) }
    }

    /// Renews the row; false if it is another's by now. Durable on the catalog's own disk: a lost renewal only ends the lease early.
    func renew(_ epoch: Epoch, report: String?, deadline: Instant) async throws -> Bool {
        let column: StaticSQL = report == nil ? "" : ", report = $5"
        let update: StaticSQL =
            "UPDATE " + rows + " SET renewals = renewals + 1, expires_at = " + clock + " + $3" + column + " WHERE "
        let statement = Statement(
            update + key + " = $1 AND " + owner + " = $2 AND epoch = $4",
            [name, holder, length, .integer(epoch.value)] + (report.map { [.text($0)] } ?? []))
        return try await access.database.transaction(
            .writeLocal.lockTimeout(.milliseconds(500)), on: .duty, deadline: deadline
        ) { try await $0.commit(after: [statement])[0].changed == 1 }
    }

    /// Gives the row up, so that the next holder need not wait.
    func release(_ epoch: Epoch, deadline: Instant) async throws {
        let update: StaticSQL = "UPDATE " + rows + " SET " + owner + " = '', renewals = renewals + 1, expires_at = 0 WHERE "
        _ = try await access.database.run(
            [Statement(update + key + " = $1 AND " + owner + " = $2 AND epoch = $3", [name, holder, .integer(epoch.value)])],
            on: .duty, deadline: deadline)
    }

    /// Holds the row's epoch as it is until the transaction ends; gives no row if it is not `epoch`.
    static func holding(_ table: Table, name: String, epoch: Epoch, dialect: SQLDialect) -> Statement {
        let selection: StaticSQL =
            table == .lease
            ? "SELECT epoch FROM apus.lease WHERE name = $1 AND epoch = $2"
            : "SELECT epoch FROM apus.session WHERE node = $1 AND epoch = $2"
        return Statement(selection + (dialect == .postgreSQL ? " FOR KEY SHARE" : ""), [.text(name), .integer(epoch.value)])
    }
}
