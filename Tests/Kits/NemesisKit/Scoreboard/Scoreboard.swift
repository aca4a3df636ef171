public import ApusTypes

/// `docs/failures.md`: what users see of each fault, what was promised, and what was measured. Made of the kept results of runs alone.
public struct Scoreboard {
    private let results: [JSONValue]
    /// Of faults that came alone: what two at once cost says nothing about either.
    private var measured: [FaultKind: [JSONValue]] = [:]

    /// `results`: the objects that runs have kept.
    public init(results: [JSONValue]) {
        self.results = results
        for episode in results.flatMap({ $0["episodes"]?.asArray ?? [] }) {
            let faults = episode["faults"]?.asArray?.compactMap { $0.asString.flatMap(FaultKind.init) } ?? []
            if faults.count == 1 { measured[faults[0], default: []].append(episode) }
        }
    }

    /// What a run keeps of an episode.
    public static func json(_ episode: Episode, _ outage: Liveness.Outage) -> JSONValue {
        func seconds(_ duration: Duration?) -> JSONValue { duration.map { .double(Double($0.nanoseconds / 1_000_000) / 1000) } ?? .null }
        return [
            "faults": .array(episode.faults.map { .string($0.kind.rawValue) }),
            "targets": .array(episode.faults.map { .string($0.target) }),
            "held_seconds": .array(episode.faults.map { seconds($0.injected.duration(to: $0.healed)) }),
            "reads_seconds": seconds(outage.reads), "single_reads_seconds": seconds(outage.singleReads),
            "writes_seconds": seconds(outage.writes), "slowest_seconds": seconds(outage.slowest),
            "writes_after_seconds": seconds(outage.writesAfter), "whole_seconds": seconds(outage.whole),
            "slowest_write_seconds": seconds(outage.slowestWrite), "leader_seconds": seconds(outage.leader),
            "notice_seconds": seconds(outage.notice), "failed_reads": .integer(Int64(outage.failedReads)),
            "incomplete_reads": .integer(Int64(outage.incompleteReads)), "disturbed": .integer(Int64(outage.disturbed)),
        ]
    }

    private struct Row {
        var fault: String
        var sees: String
        var bound: String
        /// What is measured, in seconds: one figure of the results.
        var figure: String?
        var kinds: [FaultKind] = []
        /// Where it is tested besides.
        var test = ""
    }

    /// In the order of the design's section 12. Those without kinds wait for the issues that bring what they are about.
    private static let rows = [
        Row(
            fault: "a worker is killed, two replicas", sees: "searches use the other replica at once",
            bound: "no failed reading after the balancer's one repetition", figure: "reads_seconds", kinds: [.killNode],
            test: "ClusterProcessTests.replicated"),
        Row(
            fault: "a worker is killed, one replica", sees: "its shards are missing, and said to be, until others have loaded them",
            bound: "15 s and the time to load", figure: "single_reads_seconds", kinds: [.killNode], test: "ClusterProcessTests.killed"),
        Row(
            fault: "a worker is frozen", sees: "out of the load balancer; searches hedge to another replica",
            bound: "6 s; no request over 6 s", figure: "slowest_seconds", kinds: [.freezeNode], test: "ClusterProcessTests.replicated"),
        Row(
            fault: "a path between two nodes is cut, both ways or one",
            sees: "with two replicas nothing; what has one may be missing, and said to be; nobody is down", bound: "6 s",
            figure: "slowest_seconds", kinds: [.cutPath, .cutPathOneWay], test: "MembershipMachineTests.asymmetric"),
        Row(
            fault: "the leader is killed or frozen", sees: "nothing; a thawed one changes nothing", bound: "another leads in 6 s",
            figure: "leader_seconds", kinds: [.killLeader, .freezeLeader], test: "LeaseMachineTests"),
        Row(
            fault: "the PostgreSQL primary of three is killed", sees: "writes wait, 503 or outcome unknown; reads go on", bound: "10 s",
            test: "FailoverTests.synchronous"),
        Row(
            fault: "a synchronous standby freezes", sees: "nothing with two standbys", bound: "no write over 2 s without an answer",
            test: "FailoverTests.synchronous"),
        Row(
            fault: "the catalog is away or hung", sees: "reads go on, marked with their age; writes answer 503",
            bound: "writes again 3 s after it is back", figure: "writes_after_seconds",
            kinds: [.killPostgres, .freezePostgres, .restartPostgres]),
        Row(
            fault: "the same", sees: "a write waits for its answer", bound: "2 s a node, of which the balancer asks two",
            figure: "slowest_write_seconds",
            kinds: [.killPostgres, .freezePostgres, .restartPostgres]),
        Row(
            fault: "the catalog went back in time", sees: "nodes rebuild what is ahead of it", bound: "no silent divergence, ever",
            test: "FailoverTests.lossy"),
        Row(
            fault: "the store is unmounted, full, read-only, hung, or another cluster's, on one node",
            sees: "that node says that it is not ready to write; what it has it serves", bound: "said within 5 s",
            figure: "notice_seconds", kinds: [.unmountStore, .fillStore, .readOnlyStore, .hangStore, .foreignStore], test: "MountTests"),
        Row(
            fault: "the same", sees: "reads and writes go on through the other nodes; nothing is written elsewhere",
            bound: "writes at the latest 5 s after it is back", figure: "writes_after_seconds",
            kinds: [.unmountStore, .fillStore, .readOnlyStore, .hangStore, .foreignStore]),
        Row(
            fault: "Redis is killed, frozen or fails over", sees: "requests go on without it", bound: "no failed request",
            test: "SharedCacheTests"),
        Row(
            fault: "a node is cut off from everybody", sees: "it stops acting before its leases end; others take over", bound: "6 s",
            figure: "slowest_seconds", kinds: [.isolateNode]),
        Row(
            fault: "a node is cut off from the catalog, or from the balancer", sees: "others are asked; it is not down", bound: "6 s",
            figure: "slowest_seconds", kinds: [.cutCatalog, .cutBalancer]),
        Row(
            fault: "a node returns", sees: "it rejoins and reloads", bound: "no step by hand", figure: "whole_seconds",
            kinds: [.killNode, .killLeader, .freezeNode, .freezeLeader, .isolateNode], test: "ClusterProcessTests.killed"),
        Row(
            fault: "a planned restart of any node", sees: "nothing", bound: "no failed request", figure: "reads_seconds",
            kinds: [.restartNode]),
        Row(
            fault: "a node is drained, joins, or shards are rebalanced", sees: "nothing", bound: "no failed or incomplete reading",
            figure: "reads_seconds", kinds: [.drainNode, .addNode, .rebalance], test: "ClusterProcessTests.drained"),
        Row(
            fault: "every node and PostgreSQL are killed at once", sees: "every acknowledged write is there after the start",
            bound: "always", figure: "whole_seconds", kinds: [.killAll]),
        Row(
            fault: "power loss, all nodes", sees: "every acknowledged write is there after the start", bound: "always",
            test: "PowerLossLaws"),
    ]

    public var document: String {
        let faults = sum("faults")
        let violations = results.reduce(0) { $0 + ($1["violations"]?.asArray?.count ?? 0) }
        var text = """
            # What happens when

            <!-- Made by `apus-nemesis scoreboard` of the results under Benchmarks/results; a test compares. -->

            `make nemesis MINUTES=n SEED=s` starts PostgreSQL, three nodes and nginx, lets clients write, delete, read and search through nginx, and
            breaks things meanwhile. Then a checker compares all that the clients were told with what was promised: every acknowledged write present, nothing deleted
            returned, nothing found that nobody wrote, an exact search that says that it is complete equal to what must be there.

            \(results.count) runs over \(Set(results.compactMap { $0["seed"]?.asString }).count) seeds are kept: \(faults) faults, \(sum("operations")) operations, \(violations) violations.
            Their machine had \(Int(most("processors"))) processors and a load of at most \(Self.short(most("load_most"))); how long it stood still itself is added to the bounds: \(Self.short(seconds("stalled_seconds"))) s of all.

            The figures are seconds, of faults that came alone: how long no such reading succeeded, how long the slowest request took, until another node led, until the
            first write after the repair was acknowledged, or until the cluster was whole again. Clients wait between requests, so some hundredths
            are theirs.

            | what breaks | what users see | bound | what is measured | runs | p50 | most | also tested by |
            |---|---|---|---|---|---|---|---|

            """
        for row in Self.rows {
            let values =
                row.figure.map { figure in
                    row.kinds.flatMap { measured[$0] ?? [] }.compactMap { $0[figure]?.asDouble }.sorted()
                } ?? []
            let what = row.figure.map { $0.replacing("_seconds", with: "").replacing("_", with: " ") } ?? ""
            let cells =
                values.isEmpty
                ? (row.test.isEmpty ? "not run yet | |" : "by its test | |")
                : "\(values.count) | \(Self.short(values[(values.count - 1) / 2])) | \(Self.short(values[values.count - 1]))"
            let test = row.test.isEmpty ? "" : "`\(row.test)`"
            text += "| \(row.fault) | \(row.sees) | \(row.bound) | \(what) | \(cells) | \(test) |\n"
        }
        let failed = results.flatMap { result in (result["violations"]?.asArray ?? []).compactMap(\.asString).map { (result, $0) } }
        guard !failed.isEmpty else { return text }
        text += "\n## Violations in these runs\n\n"
        for (result, violation) in failed {
            text += "- seed \(result["seed"]?.asString ?? "?"), \(result["date"]?.asString ?? "?"): \(violation)\n"
        }
        return text
    }

    private func most(_ key: String) -> Double { results.compactMap { $0[key]?.asDouble }.max() ?? 0 }
    private func seconds(_ key: String) -> Double { results.reduce(0) { $0 + ($1[key]?.asDouble ?? 0) } }
    private func sum(_ key: String) -> Int64 { results.reduce(0) { $0 + ($1[key]?.asInteger ?? 0) } }

    private static func short(_ seconds: Double) -> String {
        let hundredths = Int((seconds * 100).rounded())
        let rest = String(hundredths % 100)
        return "\(hundredths / 100).\(rest.count < 2 ? "0" + rest : rest)"
    }
}
