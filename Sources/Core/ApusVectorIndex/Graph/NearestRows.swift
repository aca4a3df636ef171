/// Keeps the rows with the least distances of those that it is offered.
struct NearestRows {
    private let limit: Int
    /// Ascending by distance.
    private(set) var rows: [(distance: Float, row: UInt32)] = []

    init(limit: Int) {
        self.limit = limit
        rows.reserveCapacity(limit + 1)
    }

    /// Farther ones are not wanted.
    var bound: Float { rows.count < limit ? .infinity : rows[limit - 1].distance }

    mutating func offer(_ row: UInt32, _ distance: Float) {
        guard distance < bound else { return }
        var (low, high) = (0, rows.count)
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].distance <= distance { low = middle + 1 } else { high = middle }
        }
        rows.insert((distance, row), at: low)
        if rows.count > limit { rows.removeLast() }
    }
}
