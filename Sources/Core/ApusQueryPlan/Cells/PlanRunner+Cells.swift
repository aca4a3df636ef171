internal import ApusCells
internal import ApusGraphQL
internal import ApusTypes

/// What members tell of cells, put side by side.
extension PlanRunner {
    /// A list of cells in ascending order: all that have rows of any member, and of each that is `inner`. Null where a member failed.
    func write(_ plan: CellsPlan, _ roots: [Root?], to output: inout ReplyBuffer) throws {
        let nodes = plan.members.compactMap { roots[$0.statement]?.node }
        guard nodes.count == plan.members.count, nodes.allSatisfy({ $0.failure == nil }) else { return output.append("null") }
        let found = ToldCells(plan, nodes)
        let shares = try shares(plan, found, nodes)
        output.append(UInt8(ascii: "["))
        for (index, cell) in found.cells.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            var distribution = 0
            try write(plan.fields, to: &output) { value, output in
                switch value {
                case .cell: output.append(JSONText.quoted(cell.text))
                case .resolution: output.append(Array(String(plan.resolution).utf8))
                case .boundary: output.append(boundaryOf: cell, decimals: plan.resolution > 9 ? 9 : 6)
                case .distribution(let asked):
                    asked.write(shares[distribution][index], to: &output)
                    distribution += 1
                case .data(let members):
                    try write(members, to: &output) { value, output in
                        guard case .member(let member) = value else { return write(constant: value, to: &output) }
                        try write(found.number(index, member), of: nodes[member], to: &output)
                    }
                default: write(constant: value, to: &output)
                }
            }
            guard output.count <= limits.replyBytes else { throw plan.isTooLarge(limits) }
        }
        output.append(UInt8(ascii: "]"))
    }

    private func write(
        _ fields: [CellsPlan.Field], to output: inout ReplyBuffer, _ value: (CellsPlan.Value, inout ReplyBuffer) throws -> Void
    ) throws {
        output.append(UInt8(ascii: "{"))
        for (index, field) in fields.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            output.append(field.name)
            try value(field.value, &output)
        }
        output.append(UInt8(ascii: "}"))
    }

    private func write(constant value: CellsPlan.Value, to output: inout ReplyBuffer) {
        if case .text(let bytes) = value { output.append(bytes) } else { output.append("null") }
    }

    private func write(_ number: Int?, of node: Node, to output: inout ReplyBuffer) throws {
        guard let number, let batch = node.batches.first ?? nil, let piece = batch.call.rows.piece(of: number) else {
            return output.append("null")
        }
        try write(piece, of: batch, to: &output)
    }

    // MARK: Distributions

    /// Of each distribution what each cell is told.
    private func shares(_ plan: CellsPlan, _ found: ToldCells, _ nodes: [Node]) throws -> [[[CellShare]]] {
        try plan.fields.compactMap { field in if case .distribution(let asked) = field.value { asked } else { nil } }.map { asked in
            var shares = try found.cells.indices.map { cell in
                let numerators = try entries(asked.numerator, found.number(cell, asked.numerator.member), nodes)
                return try entries(asked.denominator, found.number(cell, asked.denominator.member), nodes).flatMap { denominator in
                    // Without a numerator the denominator still has its part in the total.
                    (numerators.isEmpty ? [CellShare.Entry()] : numerators).map { CellShare(numerator: $0, denominator: denominator) }
                }
            }
            CellShare.addTotals(to: &shares)
            return shares
        }
    }

    /// What a member tells of a cell: one number, or one of each bucket.
    private func entries(_ source: CellDistribution.Source, _ number: Int?, _ nodes: [Node]) throws -> [CellShare.Entry] {
        guard let number else { return [] }
        var buffer = ReplyBuffer(capacity: 256)
        defer { buffer.free() }
        try write(number, of: nodes[source.member], to: &buffer)
        let value = try JSONValue(parsing: Array(buffer.bytes))
        return (source.key == nil ? [value] : value.asArray ?? []).map { bucket in
            CellShare.Entry(
                key: source.key.flatMap { bucket[$0] } ?? .null, number: source.path.reduce(bucket) { $0[$1] ?? .null }.asDouble)
        }
    }
}

/// The cells that are told, ascending, and the number of each among the cells of each member.
private struct ToldCells {
    private(set) var cells: [Cell] = []
    /// Of all members of the first cell, then of the next; below zero: the member has no rows in it.
    private var numbers: [Int] = []
    private let memberCount: Int

    init(_ plan: CellsPlan, _ nodes: [PlanRunner.Node]) {
        memberCount = nodes.count
        let lists = nodes.map { $0.call.rows.cells?.cells ?? [] }
        var next = [Int](repeating: 0, count: nodes.count)
        while let cell = lists.indices.compactMap({ next[$0] < lists[$0].count ? lists[$0][next[$0]] : nil }).min() {
            let start = numbers.count
            for member in lists.indices {
                let number = next[member]
                guard number < lists[member].count, lists[member][number] == cell else {
                    numbers.append(-1)
                    continue
                }
                next[member] += 1
                // Rows may have gone since their geometry was read.
                let batch = nodes[member].batches.first ?? nil
                numbers.append(batch?.call.rows.piece(of: number) == nil ? -1 : number)
            }
            let own = numbers[start...]
            let isMissing = zip(own, plan.members).contains { $0 < 0 && $1.isInner }
            if isMissing || own.allSatisfy({ $0 < 0 }) { numbers.removeSubrange(start...) } else { cells.append(cell) }
        }
    }

    func number(_ cell: Int, _ member: Int) -> Int? {
        let number = numbers[cell * memberCount + member]
        return number < 0 ? nil : number
    }
}

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

extension CellsPlan {
    fileprivate func isTooLarge(_ limits: PlanLimits) -> GraphQLError {
        GraphQLError(
            "\"\(path.joined(separator: "."))\" makes the reply larger than \(limits.replyBytes) bytes, which is the limit; ask for a lower resolution, or for inner fields.",
            path: path.map { .key($0) })
    }
}

extension ReplyBuffer {
    /// As GeoJSON. The sixth decimal is some eleven centimeters.
    fileprivate mutating func append(boundaryOf cell: Cell, decimals: Int) {
        append("{\"type\":\"Polygon\",\"coordinates\":[[")
        for (index, position) in cell.boundary.enumerated() {
            append(UInt8(ascii: index == 0 ? "[" : ","))
            if index > 0 { append(UInt8(ascii: "[")) }
            append(position.longitude, decimals: decimals)
            append(UInt8(ascii: ","))
            append(position.latitude, decimals: decimals)
            append(UInt8(ascii: "]"))
        }
        append("]]}")
    }

    /// Without zeros at the end.
    private mutating func append(_ degrees: Double, decimals: Int) {
        var scale = (0..<decimals).reduce(Int64(1)) { scale, _ in scale * 10 }
        var rest = Int64((abs(degrees) * Double(scale)).rounded())
        if degrees < 0, rest > 0 { append(Ascii.minus) }
        append(Array(String(rest / scale).utf8))
        rest %= scale
        if rest > 0 { append(Ascii.point) }
        while rest > 0 {
            scale /= 10
            append(Ascii.zero + UInt8(rest / scale))
            rest %= scale
        }
    }
}
