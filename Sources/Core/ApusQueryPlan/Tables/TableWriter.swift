internal import ApusArrow
internal import ApusSchemas

/// In which form a table is written.
public struct TableForm: Sendable {
    /// Told with instants: a name of the time zone database.
    public var zone = "UTC"
    /// Whether each piece is a stream by itself, with a schema and an end; else all of them together are one.
    public var isFramed = false
    /// Rows and bytes of text after which a piece is told.
    public var rows = 65_536
    public var bytes = 1 << 20
    /// Whether single objects are tables of one row, too, and nothing but tables can be told.
    public var hasRowsOnly = false
    /// Rows that a table may be read from.
    public var mostRows = Int.max
    /// Parts that a reply may have.
    public var mostParts = Int.max
    /// Of the schema of the table at a path.
    public var metadata: @Sendable (_ path: [String]) -> [(key: String, value: String)] = { _ in [] }

    public init() {}
}

/// Writes a list's rows in Arrow's stream format as they come. It holds the rows of one piece, what batches found for the rows that were
/// given last, and nothing else.
///
/// Used by one task at a time.
public final class TableWriter {
    /// What has to be read.
    public let call: StatementCall
    public let geometry: [GeometryColumn]
    private let values: RequestValues
    private let limits: PlanLimits
    private let form: TableForm
    private let rows: TableRows
    private let table: ArrowTable
    private var isBegun = false
    private var rowCount = 0
    private var readCount = 0
    private var byteCount = 0
    private var encodings: [CellEncoding] = []

    /// Runs one statement, which asks for rows by keys, and gives all of its rows.
    public typealias Batch = (StatementCall) async throws -> any RowSource
    /// Takes what is written; returns when there is room for more.
    public typealias Emit = ([UInt8]) async throws -> Void

    init(_ statement: StatementPlan, _ values: RequestValues, _ limits: PlanLimits, _ form: TableForm) throws {
        call = try StatementCall(statement, values, [], limits)
        try call.checkParameters(limits)
        geometry = GeometryColumn.all(of: statement, inTable: true)
        self.values = values
        self.limits = limits
        self.form = form
        rows = TableRows(statement, isOuter: true, place: [])
        table = try ArrowTable(rows.item.children.map { $0.field(zone: form.zone) }, metadata: form.metadata(statement.path))
        bind()
    }

    private func bind() { table.withBatch { rows.item.bind($0) } }

    /// Whether there were more rows than a default limit.
    public var isTruncated: Bool { rows.isTruncated }

    /// What is made of the columns of the statement's rows; nothing is said where keys of batches are among them, which are sent back as texts.
    public var uses: ColumnUses {
        var uses = ColumnUses()
        if call.statement.batches.isEmpty { rows.item.add(to: &uses) }
        return uses
    }

    /// Writes rows that follow those before.
    public func add(_ source: any RowSource, batch: Batch, emit: Emit) async throws {
        let statement = call.statement
        if source.encodings != encodings {
            encodings = source.encodings
            rows.item.expect(encodings)
        }
        do {
            let found = try await find(source, statement, batch)
            let isChecked = statement.engine == .sqlite
            var number = 0
            while number < source.rowCount, !rows.isTruncated {
                number = try source.withRows(from: number) { cells in
                    if isFull, rows.beginsObject(cells) { return false }
                    try rows.add(TableRow(cells: cells, batches: found, isChecked: isChecked))
                    for cell in cells { byteCount += cell.count + 8 }
                    rowCount += 1
                    readCount += 1
                    if readCount > form.mostRows, !rows.isTruncated { throw TableProblem(.rows) }
                    if byteCount > limits.replyBytes { throw TableProblem(.bytes) }
                    return !rows.isTruncated
                }
                guard isFull, number < source.rowCount, !rows.isTruncated else { continue }
                try rows.finish()
                try await flush(emit)
            }
        } catch let error as TableProblem {
            throw statement.failure(error.problem, limits)
        }
    }

    /// Whether the piece ends before the next object.
    private var isFull: Bool { rowCount >= form.rows || byteCount >= form.bytes }

    /// Writes what there is before more is read: rows of a slow source should not wait for each other. Not within an object.
    public func pause(_ emit: Emit) async throws {
        if rowCount > 0, call.statement.program.shape.levels.count == 1 { try await flush(emit) }
    }

    /// Writes what is left.
    public func finish(_ emit: Emit) async throws {
        do { try rows.finish() } catch { throw call.statement.failure(error.problem, limits) }
        // A table without rows has columns, too.
        if rowCount > 0 || !isBegun { try await flush(emit) }
        if !form.isFramed { try await emit(ArrowTable.end) }
    }

    private func flush(_ emit: Emit) async throws {
        var bytes: [UInt8] = []
        if form.isFramed || !isBegun { bytes += try table.schema() }
        isBegun = true
        bytes += try table.takeBatch()
        if form.isFramed { bytes += ArrowTable.end }
        bind()
        (rowCount, byteCount) = (0, 0)
        try await emit(bytes)
    }

    /// Asks batches for the keys of some rows, and so on for the rows that they find.
    private func find(_ source: any RowSource, _ statement: StatementPlan, _ run: Batch) async throws -> [FoundRows?] {
        var found: [FoundRows?] = []
        for (index, batch) in statement.batches.enumerated() {
            var keys = BatchKeys(columns: batch.keyCount)
            let places = statement.program.keys(of: index)
            for number in 0..<source.rowCount {
                source.withRow(number) { cells in
                    guard cells.count >= statement.program.columnCount else { return }
                    for key in places { _ = keys.number(of: key, cells) }
                }
            }
            guard keys.count <= limits.keys else { throw statement.hasTooManyKeys(keys.count, limits) }
            guard keys.count > 0, let group = batch.program.shape.group else {
                found.append(nil)
                continue
            }
            let call = try StatementCall(batch, values, keys.columns, limits)
            try call.checkParameters(limits)
            let rows = try await run(call)
            guard rows.rowCount <= limits.rows else { throw batch.failure(.rows, limits) }
            found.append(try FoundRows(rows, keys: keys, group: group, batches: try await find(rows, batch, run)))
        }
        return found
    }
}

extension RowProgram {
    /// The columns of the keys that a batch is asked for.
    func keys(of batch: Int) -> [[Int32]] {
        steps.filter { $0.operation == .hole && Int($0.target) == batch }.map { Array(keyColumns[$0.key]) }
    }
}
