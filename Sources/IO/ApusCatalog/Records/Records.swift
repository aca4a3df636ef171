internal import ApusDatabase
public import ApusTypes

/// Why something was decided, or that something happened, written down when it was.
public struct Record: Sendable, Hashable {
    public var number: Int64
    public var at: WallTime
    public var kind: Kind
    /// What it is about: `node n2`, `shard 7`.
    public var subject: String
    public var summary: String
    /// What the decision was made from: a JSON object.
    public var inputs: String

    public enum Kind: String, Sendable, Hashable { case decision, event }
}

/// Recorded reasons and events; kept for 30 days, and at most 100,000 of them.
public final class Records: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    public func add(_ kind: Record.Kind, subject: String, summary: String, inputs: String = "{}", deadline: Instant) async throws {
        try await add([(kind, subject, summary, inputs)], deadline: deadline)
    }

    public func add(_ records: [(kind: Record.Kind, subject: String, summary: String, inputs: String)], deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { try await Self.add(records, in: $0) }
    }

    /// In the transaction that does what they are about.
    static func add(
        _ records: [(kind: Record.Kind, subject: String, summary: String, inputs: String)], in transaction: CatalogTransaction
    ) async throws {
        guard !records.isEmpty else { return }
        let numbers = try await transaction.allocate("record", count: records.count)
        _ = try await transaction.run(
            zip(numbers, records).map { number, record in
                Statement(
                    "INSERT INTO apus.record (number, at, kind, subject, summary, inputs) VALUES ($1, " + transaction.dialect.clock
                        + ", $2, $3, $4, $5)",
                    [.integer(number), .text(record.kind.rawValue), .text(record.subject), .text(record.summary), .text(record.inputs)])
            })
    }

    /// The newest first, at most `limit`; of one subject if given.
    public func list(subject: String? = nil, limit: Int = 100, deadline: Instant) async throws -> [Record] {
        let selection: StaticSQL = "SELECT number, at, kind, subject, summary, inputs FROM apus.record"
        let statement =
            if let subject {
                Statement(selection + " WHERE subject = $2 ORDER BY number DESC LIMIT $1", [.integer(Int64(limit)), .text(subject)])
            } else {
                Statement(selection + " ORDER BY number DESC LIMIT $1", [.integer(Int64(limit))])
            }
        return try await access.read(statement, deadline: deadline).map { row in
            Record(
                number: try row.integer(0), at: WallTime(millisecondsSinceEpoch: try row.integer(1)),
                kind: Record.Kind(rawValue: try row.text(2)) ?? .event, subject: try row.text(3), summary: try row.text(4),
                inputs: try row.text(5))
        }
    }
}
