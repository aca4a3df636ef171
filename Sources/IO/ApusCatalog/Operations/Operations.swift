internal import ApusDatabase
public import ApusTypes

/// The ids by which requests are recognised when they come again, and by which an unknown outcome is found out.
public final class Operations: Sendable {
    /// What is known of an operation.
    public enum Outcome: Sendable, Equatable {
        case done(reply: [UInt8])
        /// It is not done, and never will be.
        case refused
        /// A commit that may be it is still under way somewhere.
        case unknown
    }

    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Finds out what became of an operation, by making sure that it cannot happen any more if it has not.
    ///
    /// A plain read would prove nothing: a commit that waits for its standby is invisible and may still appear. Throws
    /// `write.idempotency_conflict` if the id was used with another body.
    public func settle(_ id: OperationID, deadline: Instant) async throws -> Outcome {
        var row = OperationRow(id, reply: [])
        row.isRefused = true
        return try await settle(row, deadline: deadline)
    }

    func settle(_ mark: OperationMark, deadline: Instant) async throws -> Outcome {
        try await settle(OperationRow(mark: mark, isRefused: true), deadline: deadline)
    }

    private func settle(_ row: OperationRow, deadline: Instant) async throws -> Outcome {
        let dialect = access.dialect
        do {
            return try await access.database.transaction(.settling, on: .write, deadline: deadline) {
                transaction in
                let found = try await transaction.run(OperationSQL.lock([row.key], dialect) + [OperationSQL.find([row.key], dialect)])
                let existing = try found.last?.first.map(FoundOperation.init(row:))
                let outcome = try existing?.outcome(for: row.bodyDigest) ?? .refused
                // Writes in any case: the COMMIT waits until a standby has what came before it, also the commit that was found, whose own
                // wait may have been cut.
                let written = existing == nil ? row : OperationRow(mark: .unique())
                _ = try await transaction.commit(after: OperationSQL.insert([written], dialect))
                return outcome
            }
        } catch let error as ApusError where error.code != .idempotencyConflict {
            return .unknown  // the catalog cannot say now; it may later
        }
    }
}

/// An operation id that was there already.
struct FoundOperation: Sendable {
    let key: OperationKey
    let bodyDigest: Digest
    let isRefused: Bool
    let reply: [UInt8]

    init(row: Row) throws {
        key = OperationKey(scope: try row.text(0), id: try row.text(1))
        bodyDigest = try Digest(row: row, column: 2)
        isRefused = try row.bool(3)
        reply = try row.blob(4)
    }

    func outcome(for digest: Digest) throws(ApusError) -> Operations.Outcome {
        guard digest == bodyDigest else { throw Self.conflict }
        return isRefused ? .refused : .done(reply: reply)
    }

    static let conflict = ApusError(
        .idempotencyConflict, "this idempotency key was used for another request", hint: "send a new key with a new request")
}
