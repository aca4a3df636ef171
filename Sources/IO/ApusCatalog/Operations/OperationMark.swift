internal import ApusDatabase
internal import ApusRuntime
internal import ApusTypes

/// A transaction's own id among the operation ids: whoever finds its lock free and its row missing knows that the transaction is not
/// done, and by inserting the row as refused makes sure that it never will be.
struct OperationMark: Hashable, Sendable {
    static let scope = "apus.transaction"

    let id: String

    /// Begins with the time, so that marks made one after another are neighbours in the index.
    static func unique() -> OperationMark {
        OperationMark(id: ObjectKey(high: UInt64(BootClock.now.nanosecondsSinceBoot), low: .random(in: 0 ... .max)).description)
    }

    var key: OperationKey { OperationKey(scope: Self.scope, id: id) }

    /// Locks the id and inserts its row; the first statements of a transaction that locks no other id.
    func statements(_ dialect: SQLDialect) -> [Statement] {
        OperationSQL.lock([key], dialect) + OperationSQL.insert([OperationRow(mark: self)], dialect)
    }
}

/// What an id is found by.
struct OperationKey: Hashable, Sendable {
    let scope: String
    let id: String

    /// The number of the PostgreSQL advisory lock that stands for the id. Two ids may share one: they then wait for each other,
    /// nothing worse.
    var lock: Int64 {
        Digest(of: Array(scope.utf8) + [0] + Array(id.utf8)).bytes.prefix(8).reduce(0) { $0 << 8 | Int64($1) }
    }
}

/// A row of `apus.operation`.
struct OperationRow: Sendable {
    var key: OperationKey
    var origin: OperationID.Origin
    var bodyDigest: Digest
    var isRefused: Bool
    var reply: [UInt8]

    init(_ id: OperationID, reply: [UInt8]) {
        key = OperationKey(scope: id.scope, id: id.id)
        origin = id.origin
        bodyDigest = id.bodyDigest
        isRefused = false
        self.reply = reply
    }

    init(mark: OperationMark, isRefused: Bool = false) {
        key = mark.key
        origin = .proxy
        bodyDigest = .origin
        self.isRefused = isRefused
        reply = []
    }
}
