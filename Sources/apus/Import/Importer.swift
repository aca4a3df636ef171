internal import ApusRuntime
internal import ApusTypes

/// Moves the rows of a source into a collection: reads and encodes on this task, keeps several batches in flight, and writes down how
/// far everything is acknowledged.
struct Importer {
    struct Settings {
        var batchRows = 1_000
        var batchBytes = 8 << 20
        var inFlight = 4
        var skipsBadRows = false
        var reportedBadRows = 20
    }

    struct Summary {
        var rows = 0
        var inserted = 0
        var bad = 0
        /// The first of them, with their reasons.
        var badRows: [(place: String, reason: String)] = []
    }

    let sender: BatchSender?
    let settings: Settings
    /// Nil: the import cannot be resumed.
    let statePath: String?
    let terminal: Terminal
    private let clock = BootClock()
    private var state: ImportState
    private var summary = Summary()
    private var skipped = 0
    /// The row that the next batch begins with.
    private var nextRow: Int
    private var progress: ImportProgress
    /// Batches that ended before an earlier one did.
    private var ahead: [Int: BatchOutcome] = [:]
    private var nextToAccount = 0

    /// Without a `sender` it only reads and checks.
    init(
        sender: BatchSender?, settings: Settings, state: ImportState, statePath: String?, terminal: Terminal, isQuiet: Bool
    ) {
        self.sender = sender
        self.settings = settings
        self.statePath = statePath
        self.terminal = terminal
        self.state = state
        nextRow = state.rows
        progress = ImportProgress(terminal: terminal, isQuiet: isQuiet, now: clock.now, rows: state.rows, share: 0)
    }

    /// Throws at the first bad row, unless they are skipped; what was acknowledged before stays written down.
    mutating func run(_ source: inout some PointSource) async throws -> Summary {
        for _ in 0..<state.rows { guard try source.skip() else { break } }
        let total = source.rowCount
        progress = ImportProgress(
            terminal: terminal, isQuiet: progress.isQuiet, now: clock.now, rows: state.rows, share: source.progress)
        defer { progress.clear() }

        try await withThrowingTaskGroup(of: BatchOutcome.self) { group in
            var running = 0
            var number = 0
            var isAtEnd = false
            while !isAtEnd || running > 0 {
                if running == settings.inFlight || isAtEnd {
                    guard let outcome = try await group.next() else { break }
                    running -= 1
                    try account(outcome)
                    progress.update(rows: state.rows, total: total, share: source.progress, now: clock.now)
                    continue
                }
                let batch = try nextBatch(&source, number: number)
                isAtEnd = batch.rows == 0
                guard !isAtEnd else { continue }
                number += 1
                guard let sender else {
                    var outcome = BatchOutcome(batch: batch)
                    outcome.inserted = batch.points.count
                    try account(outcome)
                    progress.update(rows: state.rows, total: total, share: source.progress, now: clock.now)
                    continue
                }
                running += 1
                group.addTask { try await sender.send(batch) }
            }
        }
        summary.rows = state.rows
        summary.inserted = state.inserted
        summary.bad = state.bad
        return summary
    }

    private mutating func nextBatch(_ source: inout some PointSource, number: Int) throws -> ImportBatch {
        var batch = ImportBatch(number: number, firstRow: nextRow, rows: 0, points: [], places: [], bad: 0)
        var bytes = 0
        while batch.rows < settings.batchRows, bytes < settings.batchBytes, let row = try source.next() {
            batch.rows += 1
            switch row {
            case .point(let place, let point):
                bytes += point.json.count
                batch.points.append(point)
                batch.places.append(place)
            case .bad(let place, let reason):
                batch.bad += 1
                try refuse(place, reason)
            }
        }
        nextRow += batch.rows
        return batch
    }

    /// Takes note of a bad row: an error, or one line of the report when they are skipped.
    private mutating func refuse(_ place: String, _ reason: String) throws(ApusError) {
        guard settings.skipsBadRows else {
            throw ApusError(
                .inputInvalid, "\(place): \(reason)",
                hint: "correct it and run the same command again, or leave bad rows out with --on-error skip")
        }
        skipped += 1
        guard skipped <= settings.reportedBadRows else { return }
        summary.badRows.append((place, reason))
        progress.clear()
        terminal.note("skipped \(place): \(reason)" + (skipped == settings.reportedBadRows ? " (further ones are only counted)" : ""))
    }

    /// Counts a batch once all before it are counted, so that `state.rows` never passes an unacknowledged row.
    private mutating func account(_ outcome: BatchOutcome) throws(ApusError) {
        ahead[outcome.batch.number] = outcome
        var refused: [(place: String, reason: String)] = []
        while let next = ahead.removeValue(forKey: nextToAccount) {
            nextToAccount += 1
            state.rows += next.batch.rows
            state.inserted += next.inserted
            state.bad += next.batch.bad + next.refused.count
            refused += next.refused
        }
        if let statePath, sender != nil { try state.write(statePath) }
        for row in refused { try refuse(row.place, row.reason) }
    }
}
