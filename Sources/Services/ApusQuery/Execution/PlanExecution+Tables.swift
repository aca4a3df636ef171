internal import ApusGraphQL
internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusTypes

/// Lists of rows that are told while they are read.
extension PlanExecution {
    /// A list whose first rows are there.
    private struct OpenTable {
        var writer: TableWriter
        var pieces: any RowPieces
        var first: SourceRows?
    }

    /// What is said beside the parts.
    struct Told: Sendable {
        /// The paths of what a default limit cut.
        var truncated: [[String]] = []
        var transforms: [PlanRunner.Transform] = []
    }

    /// Begins everything, then tells part by part.
    func tell(_ form: TableForm, until end: Instant, to tell: QueryService.Tell) async throws -> Told {
        if event != nil { return try await tellEvent(form, to: tell) }
        let parts = try await parts(form)
        let tables = parts.compactMap { if case .table(let statement) = $0.content { statement } else { nil } }
        // Those of one source share its state; sources in one order, so that two requests do not wait for each other.
        let sources = Set(tables.map { plan.statements[$0].source }).sorted()
        return try await opened(sources[...], tables, form, [:]) { open in
            var told = Told()
            for part in parts {
                switch part.content {
                case .transform(let transform): told.transforms.append(transform)
                case .made(let pieces):
                    try await tell(.table(path: part.path, geometry: part.geometry))
                    for piece in pieces { try await tell(.piece(piece)) }
                    try await tell(.end)
                case .json(let bytes): try await tell(.json(path: part.path, bytes, geometry: part.geometry))
                case .table(let statement):
                    guard let table = open[statement] else { continue }
                    try await tell(.table(path: part.path, geometry: table.writer.geometry))
                    try await write(table, at: part.path, until: end) { try await tell(.piece($0)) }
                    try await tell(.end)
                    if table.writer.isTruncated { told.truncated.append(part.path) }
                }
                if part.isTruncated { told.truncated.append(part.path) }
            }
            return told
        }
    }

    /// What happened as a table of one row.
    private func tellEvent(_ form: TableForm, to tell: QueryService.Tell) async throws -> Told {
        var any = form
        any.hasRowsOnly = false
        for part in try await parts(any) {
            guard case .json(let bytes) = part.content,
                let table = try EventTable.written(bytes, metadata: form.metadata(part.path))
            else { continue }
            try await tell(.table(path: part.path, geometry: []))
            try await tell(.piece(table))
            try await tell(.end)
        }
        return Told()
    }

    private func opened<Value: Sendable>(
        _ sources: ArraySlice<String>, _ tables: [Int], _ form: TableForm, _ open: [Int: OpenTable],
        _ body: ([Int: OpenTable]) async throws -> Value
    ) async throws -> Value {
        guard let name = sources.first else { return try await body(open) }
        let source = try source(name)
        let own = tables.filter { plan.statements[$0].source == name }
        // What is read at once needs no connection of its own.
        if own.allSatisfy({ plan.statements[$0].isShort }) {
            return try await opened(own[...], of: WholeReading(source, deadline: deadline), form, open) { open in
                try await opened(sources.dropFirst(), tables, form, open, body)
            }
        }
        return try await source.reading(deadline: deadline) { reading in
            try await opened(own[...], of: reading, form, open) { open in
                try await opened(sources.dropFirst(), tables, form, open, body)
            }
        }
    }

    private func opened<Value: Sendable>(
        _ tables: ArraySlice<Int>, of reading: any SourceReading, _ form: TableForm, _ open: [Int: OpenTable],
        _ body: ([Int: OpenTable]) async throws -> Value
    ) async throws -> Value {
        guard let number = tables.first else { return try await body(open) }
        let table: OpenTable
        let path = plan.statements[number].path
        do { table = try await begin(number, reading, form) } catch { throw GraphQLError(telling: error, at: path) }
        do {
            var open = open
            open[number] = table
            let value = try await opened(tables.dropFirst(), of: reading, form, open, body)
            await table.pieces.close()
            return value
        } catch {
            await table.pieces.close()
            throw error
        }
    }

    private func begin(_ number: Int, _ reading: any SourceReading, _ form: TableForm) async throws -> OpenTable {
        let writer = try PlanRunner(plan, limits: limits).table(number, form)
        var statement = SourceStatement(writer.call)
        // Until its first rows: how long the rest takes is up to whoever reads it.
        let start = BootClock.now
        defer { slow?.note(writer.call.statement, since: start) }
        let pieces: any RowPieces
        if writer.call.statement.isShort {
            let source = try source(writer.call.statement.source)
            pieces = WholeRows { [deadline, statement] in try await source.read(statement, deadline: deadline) }
        } else {
            statement.uses = writer.uses
            pieces = try await reading.open(statement)
        }
        do {
            return OpenTable(writer: writer, pieces: pieces, first: try await pieces.next())
        } catch {
            await pieces.close()
            throw error
        }
    }

    /// Rows of a slow source are told after this.
    private static let patience = Duration.milliseconds(250)

    private func write(_ table: OpenTable, at path: [String], until end: Instant, _ emit: TableWriter.Emit) async throws {
        var piece = table.first
        var told = BootClock.now
        do {
            while let rows = piece, !table.writer.isTruncated {
                guard BootClock.now < end else { throw ApusError(.deadlineExceeded, "the time of this role for a request is over") }
                try await table.writer.add(
                    rows.source,
                    batch: { call in
                        try await source(call.statement.source).read(
                            SourceStatement(call), deadline: BootClock.now.advanced(by: .seconds(60))
                        )
                        .source
                    }, emit: emit)
                if told.duration(to: BootClock.now) > Self.patience {
                    try await table.writer.pause(emit)
                    told = BootClock.now
                }
                piece = try await table.pieces.next()
            }
            try await table.writer.finish(emit)
        } catch let error as ApusError {
            throw GraphQLError(telling: error, at: path)
        }
    }
}
