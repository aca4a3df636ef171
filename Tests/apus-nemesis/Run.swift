internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import NemesisKit
internal import TestKit

/// One run: a cluster, clients, faults one episode after the other, and the judgement.
struct Run {
    let options: RunOptions
    let isNamespaced: Bool
    private let started = BootClock.now

    private static let replicas = ["pairs": 2, "singles": 1]
    private static let shards = 4
    private static let workers = 6

    init(_ options: RunOptions, isNamespaced: Bool) {
        self.options = options
        self.isNamespaced = isNamespaced
    }

    /// Returns whether nothing was violated.
    func run() async throws -> Bool {
        let directory = Self.absolute(options.directory) + "/seed-\(options.seed)"
        try await Commands.run("/bin/rm", "-rf", directory)
        try await Commands.run("/bin/mkdir", "-p", directory)
        let kinds = options.kinds.filter { isNamespaced || $0.need == nil }
        let left = Set(options.kinds).subtracting(kinds).map(\.rawValue).sorted()
        if !left.isEmpty { say("without root there are no namespaces here; NOT tried: \(left.joined(separator: ", "))") }
        guard !kinds.isEmpty else { throw ApusError(.usage, "none of the faults can be tried here") }

        let lab = try await Lab(directory: directory, isNamespaced: isNamespaced)
        let result: RunResult
        do {
            result = try await perform(lab, kinds, directory)
        } catch {
            await lab.stop()
            throw error
        }
        await lab.stop()
        for violation in result.violations.prefix(20) { print("violation: \(violation)") }
        try RunReport(result, options: options).finish()
        print("\(EventLoops.coreCount) processors, load at most \(result.load), the machine stood still for \(result.stalled.text)")
        print("history and logs: \(options.directory)/seed-\(options.seed)")
        print("\(result.faults) faults, \(result.operations) operations, \(result.violations.count) violations")
        return result.violations.isEmpty
    }

    private func perform(_ lab: Lab, _ kinds: [FaultKind], _ directory: String) async throws -> RunResult {
        say("starting PostgreSQL, three nodes and nginx")
        try await lab.start()
        let values = ValueSpace(seed: options.seed)
        let recorder = try Recorder(path: directory + "/history.jsonl", values: values, replicas: Self.replicas)
        for (name, replicas) in Self.replicas.sorted(by: { $0.key < $1.key }) {
            _ = try await lab.askAny(
                .post, "/collections",
                #"{"name":"\#(name)","dimension":\#(values.dimension),"metric":"euclidean","replication_factor":\#(replicas),"#
                    + #""sharding":{"shard_count":\#(Self.shards)}}"#)
        }
        let wanted = try await expectedReplicas(lab)
        let ticker = Task { await watchMachine(recorder) }
        let follower = Task { try await lab.balancer.follow({ lab.present.map(\.url) }, key: lab.key) }
        // A client repeats a write until it is acknowledged: half of them leave alone what a single replica has, or all might soon wait for that.
        let replicated = Self.replicas.filter { $0.value > 1 }.keys.sorted()
        let clients = (1...Self.workers).map { number in
            var worker = Worker(
                number, url: lab.balancer.url, key: lab.key, recorder: recorder, values: values,
                collections: number.isMultiple(of: 2) ? replicated : Self.replicas.keys.sorted(), seed: options.seed, loops: lab.loops)
            return Task { await worker.run() }
        }
        var broken: [Violation] = []
        var schedule = Schedule(seed: options.seed, nodes: lab.nodes.count, kinds: kinds)
        let end = started.advanced(by: .milliseconds(Int64(options.minutes * 60_000)))
        try await BootClock().sleep(for: .seconds(2))
        while BootClock.now < end, broken.isEmpty {
            let plans = schedule.next()
            let episode: Episode
            do { episode = try await perform(plans, in: lab, wanted) } catch {
                // What an operator does was not possible in all the time that he was given.
                broken.append(Violation(.unavailable, "\(plans.map(\.kind.rawValue)): \(error)", at: BootClock.now))
                break
            }
            recorder.add(.episode(episode))
            let took = episode.whole.map { episode.healed.duration(to: $0).text } ?? "never"
            say("\(episode): whole after \(took)")
            for node in lab.present where node.ended != nil {
                broken.append(Violation(.crashed, "\(node.name) ended by itself: \(node.ended!)", at: BootClock.now))  // it has ended
            }
            guard episode.whole != nil else { break }
        }
        clients.forEach { $0.cancel() }
        for client in clients { await client.value }
        follower.cancel()
        ticker.cancel()
        let load = await ticker.value
        // What each node shows in the end.
        for node in lab.present {
            for collection in Self.replicas.keys.sorted() {
                let isWhole = await Worker.everything(
                    collection, at: node.url, key: lab.key, recorder: recorder, loops: lab.loops, values: values)
                if !isWhole {
                    broken.append(Violation(.unavailable, "\(node.name) does not show all of \(collection) in the end", at: BootClock.now))
                }
            }
            broken += await verified(node, in: lab)
        }
        broken += lab.store.strays(of: lab.nodes + [lab.visitor]).map { Violation(.strayed, "\($0) was written", at: BootClock.now) }
        let history = try recorder.history()
        return RunResult(history: history, violations: Checker.violations(of: history) + broken, load: load)
    }

    private func perform(_ plans: [PlannedFault], in lab: Lab, _ wanted: [Int: Int]) async throws -> Episode {
        let injector = Injector(lab: lab)
        let faults = try await withThrowingTaskGroup(of: Episode.Fault.self) { group in
            for plan in plans {
                group.addTask {
                    try await BootClock().sleep(for: .milliseconds(Int64(plan.after * 1000)))
                    return try await injector.perform(plan)
                }
            }
            return try await group.reduce(into: [Episode.Fault]()) { $0.append($1) }
        }
        let patience = BootClock.now.advanced(by: Promise.whole + .seconds(30))
        var problems: [String] = []
        while BootClock.now < patience {
            problems = await lab.problems(replicas: wanted)
            if problems.isEmpty { return Episode(faults: faults, whole: BootClock.now, until: BootClock.now) }
            try await BootClock().sleep(for: .milliseconds(200))
        }
        say("not whole: \(problems.joined(separator: "; "))")
        return Episode(faults: faults, whole: nil, until: BootClock.now)
    }

    /// How many nodes are to serve each shard, by its id.
    private func expectedReplicas(_ lab: Lab) async throws -> [Int: Int] {
        var wanted: [Int: Int] = [:]
        let total = Self.shards * Self.replicas.values.reduce(0, +)
        try await eventually(within: 60, "every shard is served") {
            let rows = try await lab.askAny(.get, "/api/v1/cluster/shard-distribution")["shard_to_node"]?.asArray ?? []
            wanted = Dictionary(rows.map { (Int($0["shard_id"]?.asInteger ?? -1), 1) }, uniquingKeysWith: +)
            return wanted.values.reduce(0, +) == total
        }
        return wanted
    }

    /// What a node has in memory, compared with what the log gives anew.
    private func verified(_ node: LabNode, in lab: Lab) async -> [Violation] {
        var violations: [Violation] = []
        for collection in Self.replicas.keys.sorted() {
            do {
                let reply = try await lab.ask(node, .post, "/api/collections/\(collection)/verify", within: .seconds(30))
                if reply["is_whole"] != true { violations.append(.init(.wrongReply, "\(node.name): \(reply)", at: BootClock.now)) }
            } catch {
                violations.append(Violation(.unavailable, "\(node.name) cannot verify \(collection): \(error)", at: BootClock.now))
            }
        }
        return violations
    }

    /// Notes when this process itself was not run: then the nodes were not either, and nobody is late. Gives the highest load of a minute.
    private func watchMachine(_ recorder: Recorder) async -> Double {
        var last = BootClock.now
        var load = 0.0
        while !Task.isCancelled {
            try? await BootClock().sleep(for: .milliseconds(50))  // cancelled: the loop ends
            let now = BootClock.now
            if last.duration(to: now) > .milliseconds(250) { recorder.add(.stall(.init(from: last, until: now))) }
            last = now
            load = max(load, Double((textFile("/proc/loadavg") ?? "").prefix { $0 != " " }) ?? 0)
        }
        return load
    }

    private func say(_ text: String) {
        print("[\(started.duration(to: BootClock.now).milliseconds / 1000) s] \(text)")
        fflush(nil)
    }

    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/") else { return path }
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getcwd(&buffer, buffer.count) != nil else { return path }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/" + path
    }
}

/// What came of a run.
struct RunResult {
    var history: History
    var violations: [Violation]
    /// The highest of the machine's load averages of a minute.
    var load: Double
    /// How long the machine itself stood still.
    var stalled: Duration { history.stalls.reduce(.zero) { $0 + $1.from.duration(to: $1.until) } }
    var faults: Int { history.episodes.reduce(0) { $0 + $1.faults.count } }
    var operations: Int { history.operations.count }
}
