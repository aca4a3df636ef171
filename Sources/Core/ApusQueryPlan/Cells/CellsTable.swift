internal import ApusTypes

/// The columns of `h3` as a table: numbers, texts and objects of them each have one; what is a list in a cell is JSON.
struct CellsTable {
    /// Whose rows they would be.
    private(set) var statement: StatementPlan
    /// Where the values are in a cell's object: response keys.
    private var columns: [(path: [String], isJSON: Bool)] = []

    /// `statements`: all of the operation's that were run.
    init(_ plan: CellsPlan, _ statements: [StatementPlan]) {
        statement = statements[0]
        let members = plan.members.map { member in statements.first { $0.path == member.path } ?? statements[0] }
        let item = Shape.object(plan.fields.map { shape($0, [], plan, members) }, presence: nil)
        let rows = RowShape(levels: [RowShape.Level(item: item)], result: .list)
        statement = StatementPlan(
            source: statement.source, engine: statement.engine, sql: SQLStatement("SELECT 1", for: statement.engine),
            program: RowProgram(rows)
        ).with { $0.path = plan.path }
    }

    private mutating func shape(
        _ field: CellsPlan.Field, _ path: [String], _ plan: CellsPlan, _ members: [StatementPlan]
    ) -> Shape.Member {
        let key = field.name.dropLast().withUnsafeBytes { JSONScanner.text(of: $0) } ?? ""
        let path = path + [key]
        switch field.value {
        case .cell: return Shape.Member(key, value(path, .h3Cell))
        case .resolution: return Shape.Member(key, value(path, .int32))
        case .boundary: return Shape.Member(key, value(path, ValueFormat(scalar: .geometry, srid: 4326)))
        case .text(let bytes): return Shape.Member(key, .text(bytes))
        case .data(let fields): return Shape.Member(key, .object(fields.map { shape($0, path, plan, members) }, presence: nil))
        case .member(let number):
            let shape = members[number].batches[0].program.shape
            guard shape.result == .one, let item = shape.levels.first?.item else { return Shape.Member(key, value(path, .json)) }
            return Shape.Member(key, self.shape(item, path))
        case .distribution(let number):
            let asked = plan.distributions[number]
            guard !asked.isList else { return Shape.Member(key, value(path, .json)) }
            let presence = column(path, isJSON: true)
            let fields = asked.fields.map { name, value in
                let key = name.dropLast().withUnsafeBytes { JSONScanner.text(of: $0) } ?? ""
                return Shape.Member(key, self.value(path + [key], value == .typename ? .text : .number))
            }
            return Shape.Member(key, .object(fields, presence: presence))
        }
    }

    /// What one row tells, whose values are in JSON by now.
    private mutating func shape(_ shape: Shape, _ path: [String]) -> Shape {
        switch shape {
        case .text: return shape
        case .value(_, let format): return value(path, format.ofJSON)
        case .nested, .batch: return value(path, .json)
        case .object(let members, _):
            let presence = column(path, isJSON: true)
            return .object(members.map { Shape.Member($0.key, self.shape($0.shape, path + [$0.key])) }, presence: presence)
        }
    }

    private mutating func value(_ path: [String], _ format: ValueFormat) -> Shape {
        .value(column: column(path, isJSON: format.isList || format.scalar == .json || format.scalar == .geometry), format)
    }

    private mutating func column(_ path: [String], isJSON: Bool) -> Int {
        columns.append((path, isJSON))
        return columns.count - 1
    }

    func rows(of reply: CellsReply, _ cells: Range<Int>) throws -> TextRows {
        var rows = TextRows(columnCount: columns.count)
        var buffer = ReplyBuffer(capacity: 1024)
        defer { buffer.free() }
        for cell in cells {
            buffer.removeAll()
            try reply.write(cell, to: &buffer)
            let object = try JSONValue(parsing: Array(buffer.bytes))
            for column in columns {
                switch column.path.reduce(object, { $0[$1] ?? .null }) {
                case .null: rows.append(nil)
                case .string(let text) where !column.isJSON: rows.append(Array(text.utf8))
                case let value: rows.append(value.serialized())
                }
            }
        }
        return rows
    }
}

/// Rows as texts, behind each other.
struct TextRows: RowSource {
    let columnCount: Int
    /// An empty text has an address, too.
    private var bytes: [UInt8] = [0]
    /// Nil for NULL.
    private var places: [Range<Int>?] = []

    init(columnCount: Int) { self.columnCount = columnCount }

    mutating func append(_ text: [UInt8]?) {
        places.append(text.map { bytes.count..<(bytes.count + $0.count) })
        bytes += text ?? []
    }

    var rowCount: Int { columnCount == 0 ? 0 : places.count / columnCount }
    var byteCount: Int { bytes.count }

    func withRow<Value>(_ number: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Value) rethrows -> Value {
        try bytes.withUnsafeBytes { bytes in
            let cells = places[(number * columnCount)..<((number + 1) * columnCount)].map { place -> RowCell in
                guard let place, let start = bytes.baseAddress else { return .null }
                return RowCell(start + place.lowerBound, count: place.count)
            }
            return try cells.withUnsafeBufferPointer(body)
        }
    }
}

extension ValueFormat {
    /// Of a value that is text of a database no more: dates and times are told as JSON tells them.
    fileprivate var ofJSON: ValueFormat {
        switch scalar {
        case .number, .integer, .int32, .count, .boolean, .json, .geometry, .h3Cell: self
        case .text, .interval, .date, .dateTime, .timestamp, .time: ValueFormat(scalar: .text, isList: isList)
        }
    }
}
