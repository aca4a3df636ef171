internal import ApusArrow

/// Puts the rows of one statement into columns. Objects of outer lists are finished when the rows of the lists inside have come, as
/// `RowAssembler` does for JSON.
///
/// Used by one task at a time.
final class TableRows {
    /// Of the outermost list.
    let item: TableColumn
    let isList: Bool
    /// Whether a key that no rows came for gets null; else an object that says so (an aggregation's).
    let isAbsentNull: Bool
    private(set) var isTruncated = false
    private let program: RowProgram
    private var states: [State]

    private struct State {
        let item: TableColumn
        /// The text of the key of the object that is open: each column behind its length.
        var key: [UInt8] = []
        /// From the outside to the list inside; empty when nothing is open.
        var open: [TableColumn] = []
        var isOpen = false
        var count = 0
    }

    /// `isOuter`: the rows are those of the table, else of a column in it.
    init(_ statement: StatementPlan, isOuter: Bool, place: [String]) {
        program = statement.program
        isList = program.shape.result == .list
        isAbsentNull = program.shape.absent.elementsEqual("null".utf8)
        let levels = program.shape.levels
        var inner: TableColumn?
        var items: [TableColumn] = []
        for level in levels.reversed() {
            let isOutermost = items.count == levels.count - 1
            let column = Self.column("item", level.item, statement, inner, place, isObject: isOuter && isOutermost, isOuter: false)
            items.insert(column, at: 0)
            inner = column
        }
        item = items[0]
        states = items.map { State(item: $0) }
    }

    private static func column(
        _ name: String, _ shape: Shape, _ statement: StatementPlan, _ inner: TableColumn?, _ place: [String], isObject: Bool, isOuter: Bool
    ) -> TableColumn {
        let told = place.joined(separator: ".")
        switch shape {
        case .value(let column, let format):
            return TableColumn(name, .value(column: column, format, isOuter: isOuter), place: told)
        case .text(let bytes):
            return TableColumn(name, .constant(bytes.first == Ascii.quote ? Array(bytes.dropFirst().dropLast()) : bytes), place: told)
        case .nested: return TableColumn(name, .nested, inner.map { [$0] } ?? [], place: told)
        case .batch(let number, let key):
            let rows = TableRows(statement.batches[number], isOuter: false, place: place)
            return TableColumn(name, .batch(number, key: key.map { Int32($0) }[...], rows), [], place: told)
        case .object(let members, let presence):
            let children = members.map { member in
                column(member.key, member.shape, statement, inner, place + [member.key], isObject: false, isOuter: isObject)
            }
            return TableColumn(name, .object(presence: presence), children, place: told)
        }
    }

    // MARK: Rows

    /// Whether a row begins another object of the outermost list, so that the piece may end before it.
    func beginsObject(_ cells: UnsafeBufferPointer<RowCell>) -> Bool {
        let level = program.levels[0]
        guard !level.isLast, states[0].isOpen, cells.count >= program.columnCount else { return true }
        return states[0].key != key(level, cells)
    }

    func add(_ row: TableRow) throws(TableProblem) {
        guard row.cells.count >= program.columnCount else { throw TableProblem(.columns) }
        for index in states.indices {
            let level = program.levels[index]
            if level.presence >= 0, row.cells[Int(level.presence)].start == nil { return try close(from: index) }
            if !level.isLast, states[index].isOpen, states[index].key == key(level, row.cells) { continue }
            try close(from: index)
            if states[index].count == level.limit {
                if index == 0 { isTruncated = true }
                return
            }
            if index == 0, !isList, states[0].count == 1 { return }
            states[index].count += 1
            if level.isLast { return try states[index].item.append(row) }
            states[index].key = key(level, row.cells)
            states[index].isOpen = true
            states[index].open.removeAll(keepingCapacity: true)
            try states[index].item.begin(row, &states[index].open)
            states[index + 1].count = 0
        }
    }

    private func key(_ level: RowProgram.Level, _ cells: UnsafeBufferPointer<RowCell>) -> [UInt8] {
        var key: [UInt8] = []
        for column in program.keyColumns[level.key] {
            let cell = cells[Int(column)]
            withUnsafeBytes(of: cell.start == nil ? -1 : cell.count) { key.append(contentsOf: $0) }
            key.append(contentsOf: cell.bytes)
        }
        return key
    }

    /// Ends the objects that are open from this level inwards.
    private func close(from index: Int) throws(TableProblem) {
        for level in (index..<states.count).reversed() where states[level].isOpen {
            states[level].isOpen = false
            for column in states[level].open.reversed() {
                if case .nested = column.content, states[level + 1].count == 0 {
                    try column.appendNothing()
                } else {
                    try column.finish()
                }
            }
        }
    }

    /// All rows have come.
    func finish() throws(TableProblem) { try close(from: 0) }

    // MARK: Of a batch

    /// The rows of one key, as one value; a list is not finished yet.
    func append(_ numbers: Range<Int>, of found: FoundRows, isChecked: Bool) throws(TableProblem) {
        for index in states.indices { states[index].count = 0 }
        for number in numbers {
            let result = found.rows.withRow(number) { cells in
                Result<Void, TableProblem> { () throws(TableProblem) in
                    try add(TableRow(cells: cells, batches: found.batches, isChecked: isChecked))
                }
            }
            try result.get()
        }
        try close(from: 0)
        if !isList, states[0].count == 0 { try item.appendNothing() }
    }

    /// Of a key that no rows came for, where that is no null.
    func appendOfNothing() throws(TableProblem) {
        let cells = [RowCell](repeating: .null, count: max(1, program.columnCount))
        let result = cells.withUnsafeBufferPointer { cells in
            Result<Void, TableProblem> { () throws(TableProblem) in
                try item.append(TableRow(cells: cells, batches: [], isChecked: false))
            }
        }
        try result.get()
    }
}
