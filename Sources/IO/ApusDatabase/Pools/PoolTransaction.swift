internal import ApusRuntime
internal import ApusTypes

/// Statements of one transaction, one after the other.
public final class PoolTransaction: @unchecked Sendable {  // one task uses it, and `isOpen` is touched on the loop only
    private let session: QuerySession
    private let connections: LoopConnections
    private let source: SourceWording
    private let deadline: Instant
    private let begin: StaticSQL
    private var isOpen = false

    init(
        session: QuerySession, connections: LoopConnections, source: SourceWording, deadline: Instant, begin: StaticSQL = "BEGIN"
    ) {
        self.begin = begin
        self.session = session
        self.connections = connections
        self.source = source
        self.deadline = deadline
    }

    public func run(_ query: TextQuery) async throws -> TextResult { try await run(query, deadline: deadline) }

    func run(_ query: TextQuery, _ part: PendingQuery.Part = .all, deadline: Instant) async throws -> TextResult {
        try await PostgreSQLPool.perform(PendingQuery(query, part, deadline: deadline, mayRepeat: false), on: connections) { [self] in
            // BEGIN travels with the first statement.
            if !isOpen { send(begin) }
            isOpen = true
            connections.send($0, over: session)
        }
    }

    /// A connection that breaks now leaves it open whether the transaction was committed.
    func commit() async throws {
        guard BootClock.now < deadline else { throw source.late }
        let commit = PendingQuery(TextQuery("COMMIT"), deadline: deadline, mayRepeat: false)
        let result: TextResult?
        do {
            result = try await PostgreSQLPool.perform(commit, on: connections) { [self] in
                guard isOpen else { return $0.finish(.failure(NothingToCommit())) }
                isOpen = false
                connections.send($0, over: session)
            }
        } catch is NothingToCommit {
            return
        } catch let error as ApusError where [.sourceUnavailable, .deadlineExceeded].contains(error.code) {
            throw ApusError.outcomeUnknown("the data source did not confirm the commit", cause: error)
        } catch is CancellationError {
            throw ApusError.outcomeUnknown("its client went away during the commit")
        }
        // A transaction that has failed is rolled back by its COMMIT, without an error.
        guard result?.command == "COMMIT" else { throw source.unavailable("the transaction had failed before") }
    }

    private struct NothingToCommit: Error {}

    /// Rolls back what is open, and gives the connection back behind it.
    func end() {
        connections.loop.soon { [self] in
            if isOpen { send("ROLLBACK") }
            isOpen = false
            connections.release(session, whenIdle: true)
        }
    }

    /// Nobody waits for what becomes of it.
    private func send(_ sql: StaticSQL) {
        connections.send(PendingQuery(TextQuery(sql), deadline: .distantFuture, mayRepeat: false), over: session)
    }
}
