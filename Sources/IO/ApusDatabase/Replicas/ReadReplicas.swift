public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Reads that may be a little old, answered in turn by PostgreSQL's streaming standbys.
///
/// A replica that is dead, frozen, promoted or too far behind is passed over, and no read fails for it: the next one is asked, at last the
/// primary. With a token (`token(deadline:)`) a read shows everything that was committed before the token was made. Each read first has the
/// replica say where it stands, in the same round trip: what a look has found earlier only decides whom to ask.
///
/// What must be true now does not belong here: whether a node has seen every acknowledged write, leases, and whatever is written back.
public final class ReadReplicas: Sendable {
    /// How often servers are looked at, and how long they may take. A replica that is up to date seems to be behind by up to two intervals.
    static let lookInterval = Duration.milliseconds(250)
    static let patience = Duration.seconds(1)

    private let primary: any Database
    private let replicas: [Replica]
    private let rotation: Mutex<ReplicaRotation>
    private let answered: @Sendable (String) -> Void
    private let log = Logger("database")

    private struct Replica: Sendable {
        let name: String
        let reads: PostgreSQLLane
        /// A look must not wait behind a long read.
        let looks: PostgreSQLLane
    }

    /// `url` names the primary, and everything but the replicas' hosts; `lagLimit` is how old the data of an answer may be. `answered` hears of
    /// each read which server has answered it: `host:port` of a replica, or "primary".
    public init(
        of primary: any Database, url: Redacted<String>, hosts: [(host: String, port: Int)], loops: EventLoops, lagLimit: Duration,
        answered: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        let address = try PostgreSQLAddress(url)
        let pool = BlockingPool(name: "dns", threads: 1, queueLimit: 64)
        let rotation = ReplicaRotation(count: hosts.count, limit: lagLimit)
        self.primary = primary
        self.rotation = Mutex(rotation)
        self.answered = answered
        replicas = hosts.enumerated().map { index, host in
            let address = address.at(host: host.host, port: host.port)
            func lane(_ lane: Lane) -> PostgreSQLLane {
                PostgreSQLLane(
                    lane, address: address, loop: loops.all[index % loops.all.count], pool: pool, watch: nil, notification: { _ in },
                    closed: {})
            }
            return Replica(name: address.servers[0], reads: lane(.read), looks: lane(.duty))
        }
    }

    /// Host and port of each replica, and how it stands.
    public var standings: [(name: String, standing: ReplicaStanding)] {
        let now = BootClock.now
        return rotation.withLock { rotation in replicas.indices.map { (replicas[$0].name, rotation.standing(of: $0, at: now)) } }
    }

    // MARK: Reading

    /// Where the primary's log ends now: with it, a read shows every commit that was acknowledged before this call.
    ///
    /// One small question to the primary, to be asked after a write whose writer reads on. It is not carried along with each commit: nearly all
    /// of them are appends, which nobody reads here.
    public func token(deadline: Instant) async throws -> ReadToken {
        try ServerSighting(try await primary.run([ServerSighting.question], on: .read, deadline: deadline)[0]).place
    }

    /// Runs the statements on one server, outside of a transaction. Throws what the primary throws.
    public func read(_ statements: [Statement], seeing token: ReadToken? = nil, deadline: Instant) async throws -> [Rows] {
        var tried: Set<Int> = []
        while let index = rotation.withLock({ rotation in
            // None is known to have come so far, but a commit reaches a replica within a millisecond, mostly: one is asked all the same.
            rotation.next(seeing: token, besides: tried, at: BootClock.now)
                ?? (tried.isEmpty ? rotation.next(seeing: nil, besides: [], at: BootClock.now) : nil)
        }) {
            tried.insert(index)
            if let rows = await ask(index, statements, seeing: token, deadline: deadline) {
                answered(replicas[index].name)
                return rows
            }
        }
        let rows = try await primary.run(statements, on: .read, deadline: deadline)
        answered("primary")
        return rows
    }

    /// Asks for at most half of the time that is left, so that the next one has some when this one's disk or a lock hangs under a statement.
    /// Nil if it cannot answer: it is gone, does not stand where it has to, or has cancelled a statement that was in the way of its replay. What
    /// is wrong with a statement itself the primary says.
    private func ask(_ index: Int, _ statements: [Statement], seeing token: ReadToken?, deadline: Instant) async -> [Rows]? {
        let lane = replicas[index].reads
        guard let session = lane.established else { return nil }
        let now = BootClock.now
        let deadline = now.advanced(by: now.duration(to: deadline) / 2)
        do {
            try await lane.gate.enter(1, deadline: deadline)
            defer { lane.gate.leave(1) }
            let outcome = await session.perform([ServerSighting.question] + statements, isSeparate: true, deadline: deadline)
            let rows = try outcome.rows(of: statements.count + 1, mayHaveCommitted: false)
            let sighting = try ServerSighting(rows[0])
            let isStill = rotation.withLock { rotation in
                rotation.saw(index, sighting)
                return rotation.standing(of: index, at: BootClock.now).isUsable
            }
            return isStill && token?.isCovered(by: sighting.place) != false ? Array(rows.dropFirst()) : nil
        } catch {
            log.debug("a replica did not answer a read", ["replica": replicas[index].name, "error": "\(error)"])
            return nil
        }
    }

    // MARK: Looking

    /// Looks at all servers until the task is cancelled; without it every read goes to the primary. Nobody waits for another one's answer.
    public func run() async throws {
        let ticks = BootClock().ticks(every: Self.lookInterval)
        await withDiscardingTaskGroup { group in
            group.addTask { for await _ in ticks { await self.lookAtPrimary() } }
            for index in replicas.indices {
                group.addTask {
                    for await _ in ticks {
                        await self.look(at: index)
                        self.report(index)
                    }
                }
            }
        }
    }

    /// Says it once when a replica begins or ceases to answer.
    private func report(_ index: Int) {
        guard let standing = rotation.withLock({ $0.change(of: index, at: BootClock.now) }) else { return }
        log.info(
            standing.isUsable ? "a replica of the catalog answers reads" : "a replica of the catalog answers no reads",
            ["replica": replicas[index].name, "standing": "\(standing)"])
    }

    /// Asks each server once where it stands.
    public func look() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.lookAtPrimary() }
            for index in replicas.indices { group.addTask { await self.look(at: index) } }
        }
    }

    private func lookAtPrimary() async {
        let asked = BootClock.now
        do {
            let place = try await token(deadline: asked.advanced(by: Self.patience))
            rotation.withLock { $0.sawPrimary(place, asked: asked) }
        } catch {
            log.debug("the primary was not seen", ["error": "\(error)"])  // replicas grow old meanwhile
        }
    }

    private func look(at index: Int) async {
        let replica = replicas[index]
        let deadline = BootClock.now.advanced(by: Self.patience)
        do {
            let session = try await replica.looks.session(deadline: deadline)
            _ = try await replica.reads.session(deadline: deadline)
            let outcome = await session.perform([ServerSighting.question], isSeparate: true, deadline: deadline)
            let sighting = try ServerSighting(try outcome.rows(of: 1, mayHaveCommitted: false)[0])
            rotation.withLock { $0.saw(index, sighting) }
        } catch {
            let known = error as? ApusError ?? ApusError(.catalogUnavailable, "the replica did not answer", cause: error)
            rotation.withLock { $0.failed(index, known) }
            replica.reads.leave(known)  // reads that it holds are asked elsewhere
        }
    }

    public func close() async {
        for replica in replicas {
            await replica.reads.close()
            await replica.looks.close()
        }
    }
}
