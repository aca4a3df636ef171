internal import ApusCells
internal import ApusGraphQL
internal import ApusTypes

/// What members tell of cells, put side by side: the cells in ascending order that have rows of any member, and of each that is `inner`.
struct CellsReply {
    private let plan: CellsPlan
    private let runner: PlanRunner
    private let nodes: [PlanRunner.Node]
    private let found: ToldCells
    /// Of each distribution what each cell is told.
    private var shares: [[[CellShare]]] = []

    /// Nil where a member failed.
    init?(_ plan: CellsPlan, _ roots: [PlanRunner.Root?], _ runner: PlanRunner) async throws {
        nodes = plan.members.compactMap { roots[$0.statement]?.node }
        guard nodes.count == plan.members.count, nodes.allSatisfy({ $0.failure == nil }) else { return nil }
        self.plan = plan
        self.runner = runner
        found = ToldCells(plan, nodes)
        var left = runner.limits.cells
        for distribution in plan.distributions { shares.append(try await shares(of: distribution, atMost: &left)) }
    }

    var count: Int { found.cells.count }

    static let cellsAtOnce = 1024

    /// Between so many cells other requests of the loop come first.
    static func pause(at cell: Int) async {
        if cell > 0, cell.isMultiple(of: cellsAtOnce) { await Task.yield() }
    }

    /// One cell's object.
    func write(_ cell: Int, to output: inout ReplyBuffer) throws {
        try write(plan.fields, of: cell, to: &output)
    }

    private func write(_ fields: [CellsPlan.Field], of cell: Int, to output: inout ReplyBuffer) throws {
        for (index, field) in fields.enumerated() {
            output.append(UInt8(ascii: index == 0 ? "{" : ","))
            output.append(field.name)
            switch field.value {
            case .cell: output.append(JSONText.quoted(found.cells[cell].text))
            case .resolution: output.append(Array(String(plan.resolution).utf8))
            case .boundary: output.append(boundaryOf: found.cells[cell], decimals: plan.resolution > 9 ? 9 : 6)
            case .text(let bytes): output.append(bytes)
            case .data(let members): try write(members, of: cell, to: &output)
            case .member(let member): try write(member, of: cell, to: &output)
            case .distribution(let number): plan.distributions[number].write(shares[number][cell], to: &output)
            }
        }
        output.append(UInt8(ascii: "}"))
    }

    private func write(_ member: Int, of cell: Int, to output: inout ReplyBuffer) throws {
        guard let number = found.number(cell, member), let batch = nodes[member].batches.first ?? nil,
            let piece = batch.call.rows.piece(of: number)
        else { return output.append("null") }
        try runner.write(piece, of: batch, to: &output)
    }

    // MARK: Distributions

    /// Buckets are shared out by each other's: few of both are many together.
    private func shares(of asked: CellDistribution, atMost left: inout Int) async throws -> [[CellShare]] {
        var shares: [[CellShare]] = []
        for cell in found.cells.indices {
            await Self.pause(at: cell)
            let numerators = try entries(asked.numerator, cell)
            let denominators = try entries(asked.denominator, cell)
            left -= max(1, numerators.count) * denominators.count
            guard left >= 0 else { throw plan.sharesTooMuch(runner.limits) }
            let own = denominators.flatMap { denominator in
                // Without a numerator the denominator still has its part in the total.
                (numerators.isEmpty ? [CellShare.Entry()] : numerators).map { CellShare(numerator: $0, denominator: denominator) }
            }
            shares.append(own)
        }
        CellShare.addTotals(to: &shares)
        return shares
    }

    /// What a member tells of a cell: one number, or one of each bucket.
    private func entries(_ source: CellDistribution.Source, _ cell: Int) throws -> [CellShare.Entry] {
        guard found.number(cell, source.member) != nil else { return [] }
        var buffer = ReplyBuffer(capacity: 256)
        defer { buffer.free() }
        try write(source.member, of: cell, to: &buffer)
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
