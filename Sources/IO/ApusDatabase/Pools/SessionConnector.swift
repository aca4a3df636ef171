internal import ApusRuntime
internal import ApusTypes

/// Opens the connections of a pool.
struct SessionConnector: Sendable {
    let address: PostgreSQLAddress
    let options: PostgreSQLPool.Options
    let source: SourceWording
    /// Looks names up.
    let pool: BlockingPool

    /// Tries each address until one will do, and sets the connection up.
    func open(_ make: () -> QuerySession, _ deadline: Instant) async throws -> QuerySession {
        let candidates = try await address.candidates(
            application: "apus \(source.name)", pool: pool, wording: source, deadline: deadline)
        var failure: any Error = source.notConnected("its host has no address")
        for candidate in candidates {
            let session = make()
            do {
                try await open(session, candidate, deadline)
                return session
            } catch {
                session.loop.soon { session.fail(source.notConnected("it was not accepted")) }
                failure = error
                try Task.checkCancellation()
            }
        }
        throw failure
    }

    private func open(_ session: QuerySession, _ candidate: PostgreSQLAddress.Candidate, _ deadline: Instant) async throws {
        let loop = session.loop
        try await withCheckedThrowingContinuation { continuation in
            loop.soon { session.start(candidate.parameters.reveal(), deadline: deadline, continuation) }
        }
        let settings = PendingQuery(settings, deadline: deadline, mayRepeat: false)
        _ = try await withCheckedThrowingContinuation { continuation in
            loop.soon {
                loop.timers.schedule(at: deadline) { settings.finish(.failure(source.connectTimedOut)) }
                settings.wait(continuation)
                session.send(settings, StatementFacts(id: 0, text: settings.query.sql.text), now: BootClock.now)
            }
        }
        guard address.wantsPrimary, !options.isReadOnly else { return }
        guard try await loop.run({ !session.takesNoWrites }) else {
            throw source.unavailable("no host of it takes writes; a failover may be under way")
        }
    }

    /// What every connection sets: how values are written, and a net below the callers' deadlines.
    private var settings: TextQuery {
        TextQuery(
            """
            SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), \
            set_config('IntervalStyle', 'iso_8601', false), set_config('extra_float_digits', '1', false), \
            set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', '10s', false), \
            set_config('client_connection_check_interval', '1s', false), set_config('default_transaction_read_only', $2, false)
            """,
            ["\(max(1, options.statementTime.milliseconds))", options.isReadOnly ? "on" : "off"].map { Array($0.utf8) })
    }
}
