internal import ApusTypes

/// What one cell gets of a distribution.
struct CellShare {
    struct Entry {
        /// Of the bucket.
        var key = JSONValue.null
        var number: Double?
    }

    var numerator: Entry
    var denominator: Entry
    var total = 0.0

    /// Nil where there is nothing to share out by.
    var ratio: Double? { total == 0 ? nil : denominator.number.map { $0 / total } }
    var value: Double? { ratio.flatMap { ratio in numerator.number.map { $0 * ratio } } }

    /// Denominators are added up over all cells, those of each pair of buckets by themselves.
    static func addTotals(to shares: inout [[CellShare]]) {
        var totals: [[JSONValue]: Double] = [:]
        for share in shares.joined() { totals[share.keys, default: 0] += share.denominator.number ?? 0 }
        for cell in shares.indices {
            for index in shares[cell].indices { shares[cell][index].total = totals[shares[cell][index].keys] ?? 0 }
        }
    }

    private var keys: [JSONValue] { [numerator.key, denominator.key] }
}

extension CellDistribution {
    func write(_ shares: [CellShare], to output: inout ReplyBuffer) {
        guard isList else {
            guard let share = shares.first else { return output.append("null") }
            return write(share, to: &output)
        }
        output.append(UInt8(ascii: "["))
        for (index, share) in shares.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            write(share, to: &output)
        }
        output.append(UInt8(ascii: "]"))
    }

    private func write(_ share: CellShare, to output: inout ReplyBuffer) {
        func number(_ value: Double?) -> JSONValue { value.map { .double($0) } ?? .null }
        for (index, field) in fields.enumerated() {
            output.append(UInt8(ascii: index == 0 ? "{" : ","))
            output.append(field.name)
            let value: JSONValue =
                switch field.value {
                case .value: number(share.value)
                case .ratio: number(share.ratio)
                case .numerator: number(share.numerator.number)
                case .denominator: number(share.denominator.number)
                case .total: number(share.total)
                case .numeratorKey: share.numerator.key
                case .denominatorKey: share.denominator.key
                case .typename: .string(isList ? "_distribution_by_bucket" : "_distribution_by")
                }
            output.append(value.serialized())
        }
        output.append(UInt8(ascii: "}"))
    }
}
