internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization
internal import TestKit

/// What a store that never answers does to the other routes of its node: their times with it and without it, in turns.
struct HungStore {
    private static let rounds = 5
    private static let time = Duration.seconds(6)
    private static let clients = 4
    private static let routes: [(name: String, method: Method, path: String, body: String?)] = [
        ("search", .post, "/collections/words/search", #"{"vector":[1,0,0,0,0,0,0,0],"limit":10}"#),
        ("point", .get, "/collections/words/vectors/p7", nil),
        ("count", .get, "/collections/words", nil),
        ("nodes", .get, "/api/v1/cluster/nodes", nil),
    ]

    /// Prints a line for each route; returns whether no request failed and nobody was declared down.
    static func run(in directory: String) async throws -> Bool {
        try await Lab.with(in: directory + "/hung-store") { try await measure($0) }
    }

    private static func measure(_ lab: Lab) async throws -> Bool {
        _ = try await lab.askAny(
            .post, "/collections", #"{"name":"words","dimension":8,"metric":"cosine","replication_factor":3,"sharding":{"shard_count":3}}"#)
        let node = lab.nodes[1]
        for number in 0..<600 {
            let numbers = (0..<8).map { "\((number * ($0 + 3)) % 97 + 1)" }.joined(separator: ",")
            _ = try await lab.ask(
                lab.nodes[0], .post, "/insert", #"{"collection":"words","id":"p\#(number)","vector":[\#(numbers)]}"#, within: .seconds(20))
        }
        _ = try await times(node, lab)  // until everything is loaded
        var ratios = [[Double]](repeating: [], count: routes.count)
        var figures = ratios.map { _ in (idle: [Double](), hung: [Double]()) }
        var failures = 0
        var verdicts: Set<String> = []
        for _ in 0..<rounds {
            let idle = try await times(node, lab)
            try await lab.store.hang(node)
            // What looks at the store has to notice first.
            try await BootClock().sleep(for: .seconds(2))
            let hung = try await times(node, lab)
            for told in await lab.verdicts().values { if let state = told[node.name] { verdicts.insert(state) } }
            try await lab.store.unhang(node)
            try await eventually(within: 60, "the node is whole again") { await lab.problems().isEmpty }
            failures += idle.failures + hung.failures
            for route in routes.indices {
                let (before, during) = (percentile(idle.seconds[route]), percentile(hung.seconds[route]))
                figures[route].idle.append(before)
                figures[route].hung.append(during)
                ratios[route].append(during / before)
            }
        }
        for (route, (name, _, _, _)) in routes.enumerated() {
            let sorted = ratios[route].sorted()
            func shown(_ values: [Double]) -> String { "\(Double(Int(values.sorted()[values.count / 2] * 100_000)) / 100)" }
            func text(_ ratio: Double) -> String { "\(Double(Int(ratio * 100)) / 100)" }
            print(
                "\(name): p99 \(shown(figures[route].idle)) ms, with a store that hangs \(shown(figures[route].hung)) ms: "
                    + "ratio min \(text(sorted[0])), median \(text(sorted[sorted.count / 2])), max \(text(sorted[sorted.count - 1]))")
        }
        print("\(failures) requests failed; others take the node for \(verdicts.sorted().joined(separator: ", "))")
        return failures == 0 && !verdicts.contains("down")
    }

    private static func percentile(_ seconds: [Double]) -> Double { seconds.sorted()[min(seconds.count - 1, seconds.count * 99 / 100)] }

    /// For each route what its requests took.
    private static func times(_ node: LabNode, _ lab: Lab) async throws -> (seconds: [[Double]], failures: Int) {
        let end = BootClock.now.advanced(by: time)
        return try await withThrowingTaskGroup(of: (seconds: [[Double]], failures: Int).self) { group in
            for client in 0..<clients {
                group.addTask {
                    var found = (seconds: [[Double]](repeating: [], count: routes.count), failures: 0)
                    var turn = client
                    while BootClock.now < end {
                        let route = routes[turn % routes.count]
                        let start = BootClock.now
                        do {
                            _ = try await lab.ask(node, route.method, route.path, route.body, within: .seconds(6))
                        } catch { found.failures += 1 }
                        found.seconds[turn % routes.count].append(start.duration(to: BootClock.now).seconds)
                        turn += 1
                    }
                    return found
                }
            }
            return try await group.reduce(into: (seconds: [[Double]](repeating: [], count: routes.count), failures: 0)) { all, one in
                for route in routes.indices { all.seconds[route] += one.seconds[route] }
                all.failures += one.failures
            }
        }
    }
}
