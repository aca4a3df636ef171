/// A short list of node numbers for each shard, all in one array.
struct NodeRows: Sendable {
    /// Where each row begins, and the end.
    private var starts: [Int]
    private var counts: [Int]
    private var values: [Int]

    /// Rows of at most these lengths, empty.
    init(widths: some Sequence<Int>) {
        starts = [0]
        for width in widths { starts.append(starts[starts.count - 1] + width) }
        counts = Array(repeating: 0, count: starts.count - 1)
        values = Array(repeating: 0, count: starts[starts.count - 1])
    }

    var indices: Range<Int> { counts.indices }

    subscript(row: Int) -> ArraySlice<Int> { values[starts[row]..<starts[row] + counts[row]] }

    mutating func append(_ node: Int, to row: Int) {
        values[starts[row] + counts[row]] = node
        counts[row] += 1
    }

    mutating func remove(_ node: Int, from row: Int) {
        guard let place = self[row].firstIndex(of: node) else { preconditionFailure("only what is in a row is removed") }
        let end = starts[row] + counts[row]
        for later in place + 1..<end { values[later - 1] = values[later] }
        counts[row] -= 1
    }
}
