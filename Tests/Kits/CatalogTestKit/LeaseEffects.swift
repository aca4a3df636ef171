public import ApusCatalog
public import ApusDatabase
public import ApusTypes

/// What holders of a lease do, for the laws: numbered effects in one order, each under the epoch of its holder.
public enum LeaseEffects {
    public struct Effect: Sendable, Hashable {
        public var number: Int64
        public var epoch: Epoch
        public var holder: String
    }

    /// Makes the tables. The counter's row orders the effects as their commits are ordered.
    public static func prepare(_ catalog: Catalog, deadline: Instant) async throws {
        try await catalog.transaction(deadline: deadline) { transaction in
            _ = try await transaction.run([
                .once("CREATE TABLE apus.law_effect (n bigint PRIMARY KEY, epoch bigint NOT NULL, holder text NOT NULL)"),
                .once("CREATE TABLE apus.law_counter (n bigint NOT NULL)"),
                .once("INSERT INTO apus.law_counter (n) VALUES (0)"),
            ])
        }
    }

    /// One effect under `epoch`; throws `lease.stale` if that is over.
    public static func perform(_ catalog: Catalog, lease: String, epoch: Epoch, holder: String, deadline: Instant) async throws {
        try await catalog.transaction(deadline: deadline) { transaction in
            try await transaction.require(lease: lease, epoch: epoch)
            _ = try await transaction.run([
                Statement("UPDATE apus.law_counter SET n = n + 1"),
                Statement(
                    "INSERT INTO apus.law_effect (n, epoch, holder) SELECT n, $1, $2 FROM apus.law_counter",
                    [.integer(epoch.value), .text(holder)]),
            ])
        }
    }

    /// Acts whenever `keeper` says that it may, until the task is cancelled. `pause` comes between asking and acting: what a process that
    /// is stopped at the worst moment does.
    public static func run(
        _ catalog: Catalog, keeper: LeaseKeeper, holder: String, pause: @Sendable () async -> Void = {}
    ) async {
        while !Task.isCancelled {
            if let epoch = keeper.epoch {
                await pause()
                do {
                    try await perform(
                        catalog, lease: keeper.name, epoch: epoch, holder: holder, deadline: catalog.clock.now.advanced(by: .seconds(2)))
                } catch {
                    // Refused, or not known: the law looks at the table, not at what a holder believes.
                }
            }
            do { try await catalog.clock.sleep(until: catalog.clock.now.advanced(by: .milliseconds(20)), tolerance: nil) } catch { return }
        }
    }

    public static func all(_ database: any Database, deadline: Instant) async throws -> [Effect] {
        let rows = try await database.run(
            [Statement("SELECT n, epoch, holder FROM apus.law_effect ORDER BY n")], on: .read, deadline: deadline)[0]
        return try rows.map { Effect(number: try $0.integer(0), epoch: Epoch(try $0.integer(1)), holder: try $0.text(2)) }
    }

    /// Each epoch has one holder, and epochs only rise: nothing of an older holder comes after something of a newer one.
    public static func check(_ effects: [Effect]) throws {
        var holders: [Epoch: String] = [:]
        var last = Epoch(0)
        for effect in effects {
            guard effect.epoch >= last else {
                throw BrokenLaw("effect \(effect.number) of epoch \(effect.epoch) comes after epoch \(last)")
            }
            last = effect.epoch
            guard holders[effect.epoch] == nil || holders[effect.epoch] == effect.holder else {
                throw BrokenLaw("epoch \(effect.epoch) has effects of \(effect.holder) and of \(holders[effect.epoch] ?? "")")
            }
            holders[effect.epoch] = effect.holder
        }
    }
}
