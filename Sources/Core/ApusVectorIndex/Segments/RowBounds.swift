/// What is known of the rows that match a filter: those of one set do, and none outside of another does.
struct RowBounds: Sendable {
    private(set) var certain: RowSet
    /// Nil where it is the same: then all is known.
    private var wider: RowSet?

    var possible: RowSet { wider ?? certain }
    var bytes: Int { certain.bytes + (wider?.bytes ?? 0) }
    var isExact: Bool { wider == nil }

    static func nothing(rows: Int) -> RowBounds { RowBounds(certain: RowSet(rows: rows)) }
    static func everything(rows: Int) -> RowBounds { RowBounds(certain: RowSet(rows: rows).complement) }
    static func unknown(rows: Int) -> RowBounds { RowBounds(certain: RowSet(rows: rows), possible: RowSet(rows: rows).complement) }

    init(certain: RowSet, possible: RowSet? = nil) {
        self.certain = certain
        wider = possible
        settle()
    }

    func mayMatch(_ row: Int) -> Bool { wider?.contains(row) ?? certain.contains(row) }

    /// Rows of which it is not known.
    var undecided: RowSet {
        var rows = possible
        rows.subtract(certain)
        return rows
    }

    mutating func insert(_ lists: RowLists) {
        for list in lists.undecided {
            if wider == nil { wider = certain }
            wider?.insert(list: list)
        }
        for list in lists.certain {
            certain.insert(list: list)
            wider?.insert(list: list)
        }
        for row in lists.loose where row < certain.rows {
            certain.insert(Int(row))
            wider?.insert(Int(row))
        }
        settle()
    }

    mutating func formUnion(_ other: RowBounds) {
        if wider != nil || other.wider != nil {
            var union = possible
            union.formUnion(other.possible)
            wider = union
        }
        certain.formUnion(other.certain)
        settle()
    }

    mutating func formIntersection(_ other: RowBounds) {
        if wider != nil || other.wider != nil {
            var common = possible
            common.formIntersection(other.possible)
            wider = common
        }
        certain.formIntersection(other.certain)
        settle()
    }

    /// The rows that do not match.
    var complement: RowBounds { RowBounds(certain: possible.complement, possible: certain.complement) }

    private mutating func settle() {
        if wider?.count == certain.count { wider = nil }
    }
}

/// Rows of 4 bytes each that lie in several lists, and belong together.
struct RowLists {
    var certain: [UnsafeRawBufferPointer] = []
    /// Of these it has to be seen in the payload.
    var undecided: [UnsafeRawBufferPointer] = []
    /// Certain ones that lie in no list.
    var loose: [UInt32] = []
    /// The rows that are in none of the lists.
    var isComplement = false

    /// Rows in the lists; one may be in several.
    var count: Int { (certain + undecided).reduce(loose.count) { $0 + $1.count / 4 } }
}
