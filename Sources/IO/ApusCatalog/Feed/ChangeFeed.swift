internal import ApusDatabase
public import ApusTypes
internal import Glibc
internal import Synchronization

/// The catalog's ordered list of configuration changes.
///
/// Versions become visible in order: a number is allotted under a row lock that is held until COMMIT. A reader always starts *at* its
/// own position, so that it finds out by the digest when the catalog has another past than the reader remembers.
public final class ChangeFeed: Sendable {
    /// How long a follower waits at most before it looks by itself: poolers and standbys do not deliver NOTIFY.
    static let pollInterval: Duration = .milliseconds(500)
    static let notifyInterval: Duration = .milliseconds(20)
    /// Changes that are kept; a reader further behind rebuilds.
    public static let kept: Int64 = 10_000
    static let channel = "apus_change"

    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// The statements that append one change. Both change the head first: its lock is what orders the feed.
    ///
    /// The digest covers 16 random bytes beside topic and key: two histories that changed the same key must differ.
    static func publishing(_ topic: Topic, key: String, dialect: SQLDialect) -> [Statement] {
        var random = SystemRandomNumberGenerator()
        var operation = Array(topic.rawValue.utf8) + [0] + Array(key.utf8) + [0]
        for _ in 0..<2 { withUnsafeBytes(of: random.next() as UInt64) { operation += $0 } }
        return [
            Statement(
                "UPDATE apus.feed_head SET version = version + 1, digest = sha256(digest || $1)", [.blob(Digest(of: operation).bytes)]),
            Statement(
                "INSERT INTO apus.change (version, topic, key, digest, at) SELECT version, CAST($1 AS text), CAST($2 AS text), digest, "
                    + dialect.clock
                    + " FROM apus.feed_head", [.text(topic.rawValue), .text(key)]),
        ]
    }

    /// Where the feed ends now. Also renews the known incarnation.
    public func head(deadline: Instant) async throws -> FeedPosition {
        let rows = try await access.read(
            [Incarnation.statement(access.dialect), Statement("SELECT version, digest FROM apus.feed_head")], deadline: deadline)
        let incarnation = try Incarnation(row: rows[0][0])
        access.incarnation = incarnation
        return FeedPosition(incarnation: incarnation, version: try rows[1][0].integer(0), digest: try Digest(row: rows[1][0], column: 1))
    }

    /// The changes after `position`, at most `limit` of them, in order; none when the reader is at the end.
    ///
    /// Throws `catalog.rewound` when `position` is not in this history, or was trimmed: the reader must read everything anew.
    public func read(from position: FeedPosition, limit: Int = 1000, deadline: Instant) async throws -> [Change] {
        let rows = try await access.read(
            [
                Incarnation.statement(access.dialect),
                Statement(
                    "SELECT version, topic, key, digest, at FROM apus.change WHERE version >= $1 ORDER BY version LIMIT $2",
                    [.integer(position.version), .integer(Int64(limit) + 1)]),
            ], deadline: deadline)
        access.incarnation = try Incarnation(row: rows[0][0])
        let changes = try rows[1].map { row in
            Change(
                version: try row.integer(0), topic: Topic(try row.text(1)), key: try row.text(2), digest: try Digest(row: row, column: 3),
                at: WallTime(millisecondsSinceEpoch: try row.integer(4)))
        }
        if position.version == 0 {
            guard changes.first.map({ $0.version == 1 }) ?? true else { throw rewound(position, "its beginning was trimmed") }
            return changes
        }
        guard let own = changes.first, own.version == position.version else {
            throw rewound(position, "the catalog does not know this version (any more)")
        }
        guard own.digest == position.digest else { throw rewound(position, "the catalog has another change under this version") }
        return Array(changes.dropFirst())
    }

    private func rewound(_ position: FeedPosition, _ reason: String) -> ApusError {
        ApusError(
            .catalogRewound, "version \(position.version) of the change feed cannot be followed: \(reason)",
            context: ["position": "\(position.version)", "incarnation": position.incarnation.description, "reason": reason])
    }

    /// Changes after `position` for ever, one follower. Nil starts with `.rebuild`. Ends only by cancellation; while the catalog is
    /// away it waits (`onProblem` is told once for each failed read).
    public func follow(
        from position: FeedPosition?, onProblem: @escaping @Sendable (any Error) -> Void = { _ in }
    ) -> FeedFollower {
        FeedFollower(feed: self, access: access, position: position, onProblem: onProblem)
    }

    /// A stream of wake-ups for those that poll by themselves: one element soon after each change, and one every 500 ms.
    public func changes() -> AsyncStream<Void> {
        let signal = access.changed
        let clock = access.clock
        return AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let task = Task {  // owned by the stream: ends with it
                while !Task.isCancelled {
                    let generation = signal.generation
                    continuation.yield()
                    do {
                        try await signal.wait(after: generation, until: clock.now.advanced(by: Self.pollInterval), clock: clock)
                    } catch { break }  // cancelled: the stream was dropped
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    // MARK: NOTIFY

    /// Tells other nodes of this node's changes, in transactions of their own and at most one each 20 ms, and hears theirs.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.listen() }
            if access.dialect == .postgreSQL, !access.isReadOnly { group.addTask { try await self.notify() } }
            try await group.waitForAll()
        }
    }

    private func listen() async throws {
        while !Task.isCancelled {
            for await _ in access.database.notifications(on: [Self.channel]) { access.changed.raise() }
            // The stream ends when the connection breaks; polling goes on meanwhile.
            try await access.clock.sleep(until: access.clock.now.advanced(by: Self.pollInterval), tolerance: nil)
        }
    }

    private func notify() async throws {
        let published = access.published
        while !Task.isCancelled {
            let generation = published.generation
            if published.take() {
                let deadline = access.clock.now.advanced(by: .seconds(1))
                do {
                    try await access.database.notify(Notification(channel: Self.channel, payload: ""), deadline: deadline)
                } catch is ApusError {
                    // A lost NOTIFY costs the others half a second; the next change sends another.
                }
                try await access.clock.sleep(until: access.clock.now.advanced(by: Self.notifyInterval), tolerance: nil)
            } else {
                await published.wait(after: generation)
            }
        }
    }
}

extension Digest {
    init(row: Row, column: Int) throws {
        guard let digest = Digest(bytes: try row.blob(column)) else {
            throw ApusError(.databaseRejected, "column \(column) is not a digest")
        }
        self = digest
    }
}
