/// What one batch found for the keys of some rows: its own rows, where each key's are, and what further batches found for those.
final class FoundRows {
    let rows: any RowSource
    let batches: [FoundRows?]
    private var keys: BatchKeys
    /// By the key's number.
    private let places: [Int: Range<Int>]

    /// Throws when the rows are not those of the keys.
    init(_ rows: any RowSource, keys: BatchKeys, group: Int, batches: [FoundRows?]) throws(TableProblem) {
        self.rows = rows
        self.keys = keys
        self.batches = batches
        var places: [Int: Range<Int>] = [:]
        var current = (number: -1, start: 0)
        for row in 0..<rows.rowCount {
            let number = rows.withRow(row) { cells in
                group < cells.count ? ColumnText.integer(cells[group].bytes).map { Int($0) } : nil
            }
            guard let number, number >= 0, number < keys.count else { throw TableProblem(.columns) }
            if number == current.number { continue }
            if current.number >= 0 { places[current.number] = current.start..<row }
            guard places[number] == nil else { throw TableProblem(.columns) }
            current = (number, row)
        }
        if current.number >= 0 { places[current.number] = current.start..<rows.rowCount }
        self.places = places
    }

    /// The rows for the key in these columns of a row that asked; nil where none came.
    func rows(of key: ArraySlice<Int32>, _ cells: UnsafeBufferPointer<RowCell>) -> Range<Int>? {
        let number = keys.number(of: key, cells)
        return number < 0 ? nil : places[number]
    }
}
