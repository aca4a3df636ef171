internal import ApusHTTP
internal import ApusTypes

/// Some rows of an import, in order: the points to send, and how many rows they and the bad ones were.
struct ImportBatch: Sendable {
    var number: Int
    var firstRow: Int
    var rows: Int
    var points: [EncodedPoint]
    /// The place of each point's row, for reports.
    var places: [String]
    var bad: Int
}

/// What became of a batch.
struct BatchOutcome: Sendable {
    var batch: ImportBatch
    var inserted = 0
    /// Points that the node refused, with their places and reasons.
    var refused: [(place: String, reason: String)] = []
}

/// Sends batches: each with its idempotency key, again when the node is busy or away, in halves when the node refuses one as a whole and
/// the bad points are to be skipped.
struct BatchSender: Sendable {
    let client: NodeClient
    let collection: String
    let run: String
    let skipsRefused: Bool
    /// How long a node may be busy or away, in a row, before the import stops.
    let patience: Duration

    func send(_ batch: ImportBatch) async throws -> BatchOutcome {
        var outcome = BatchOutcome(batch: batch)
        try await send(batch, range: 0..<batch.points.count, into: &outcome)
        return outcome
    }

    private func send(_ batch: ImportBatch, range: Range<Int>, into outcome: inout BatchOutcome) async throws {
        guard !range.isEmpty else { return }
        let key = "import-\(run)-\(batch.firstRow)-\(range.lowerBound)-\(range.upperBound)"
        do {
            let reply = try await sendPatiently(body(batch.points[range]), key)
            note(reply, range, batch, &outcome)
        } catch let error as ApusError where skipsRefused && Self.isRefusal(error) || error.code == .requestTooLarge && range.count > 1 {
            guard range.count > 1 else {
                outcome.refused.append((batch.places[range.lowerBound], error.summary))
                return
            }
            let middle = range.lowerBound + range.count / 2
            try await send(batch, range: range.lowerBound..<middle, into: &outcome)
            try await send(batch, range: middle..<range.upperBound, into: &outcome)
        }
    }

    /// The node looked at the points and will never take them as they are.
    private static func isRefusal(_ error: ApusError) -> Bool {
        [.requestInvalid, .requestUnparsable, .requestTooLarge, .vectorInvalid, .vectorWrongDimension].contains(error.code)
    }

    private func body(_ points: ArraySlice<EncodedPoint>) -> [UInt8] {
        var body = JSONWriter(reserving: points.reduce(64) { $0 + $1.json.count + 1 })
        body.object { object in
            object.member("collection", collection)
            object.key("vectors")
            object.array { array in for point in points { array.raw(point.json) } }
        }
        return body.bytes
    }

    private func sendPatiently(_ body: [UInt8], _ key: String) async throws -> JSONValue {
        var waited: Duration = .zero
        var pause: Duration = .milliseconds(100)
        while true {
            do throws(ApusError) {
                return try await client.call(.post, "/insert_vectors", body, idempotencyKey: key, timeout: .seconds(60))
            } catch {
                // Not `catch where`: Swift 6.3 crashes on it for a typed error.
                guard error.retry != .never, waited < patience else { throw error }
                if case .after(let asked) = error.retry { pause = max(pause, asked) }
                try await Task.sleep(for: pause)
                waited += pause
                pause = min(pause * 2, .seconds(5))
            }
        }
    }

    private func note(_ reply: JSONValue, _ range: Range<Int>, _ batch: ImportBatch, _ outcome: inout BatchOutcome) {
        var refused = 0
        for result in reply["results"]?.asArray ?? [] {
            guard let error = result["error"]?.asString, let index = result["index"]?.asInteger,
                range.contains(range.lowerBound + Int(index))
            else { continue }
            outcome.refused.append((batch.places[range.lowerBound + Int(index)], error))
            refused += 1
        }
        outcome.inserted += reply["inserted"]?.asInteger.map(Int.init) ?? (range.count - refused)
    }
}
