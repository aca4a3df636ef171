internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import DatabaseTestKit
internal import NemesisKit

/// Does to the lab what the plan says, and undoes it.
struct Injector: Sendable {
    let lab: Lab

    /// Strikes, waits as long as planned, and heals. Healing is tried even where striking failed half way.
    func perform(_ plan: PlannedFault) async throws -> Episode.Fault {
        let (node, other) = try await victims(of: plan)
        let injected = BootClock.now
        let seen: Sight
        do {
            try await inject(plan.kind, node, other)
            seen = try await watch(plan, node, since: injected)
        } catch {
            try? await heal(plan.kind, node, other)  // the first error is the one to tell
            throw error
        }
        try await heal(plan.kind, node, other)
        return Episode.Fault(
            kind: plan.kind, target: target(plan.kind, node, other), injected: injected, healed: BootClock.now, led: seen.led,
            noticed: seen.noticed, down: seen.down.sorted())
    }

    private func victims(of plan: PlannedFault) async throws -> (LabNode, LabNode) {
        switch plan.kind {
        case .killLeader, .freezeLeader:
            // Nobody may lead while another fault lasts.
            var leader: LabNode?
            try await insist("somebody leads") {
                leader = await lab.leader().flatMap { lab.node($0) }
                if leader == nil { throw ApusError(.nodeUnknown, "nobody leads") }
            }
            return (leader ?? lab.nodes[plan.node], lab.nodes[plan.other])
        case .addNode: return (lab.visitor, lab.nodes[plan.other])
        default: return (lab.nodes[plan.node], lab.nodes[plan.other])
        }
    }

    private func target(_ kind: FaultKind, _ node: LabNode, _ other: LabNode) -> String {
        switch kind {
        case .cutPath: "\(node.name)↔\(other.name)"
        case .cutPathOneWay: "\(node.name)→\(other.name)"
        default: kind.domain == .catalog || [.killAll, .rebalance, .fillStore].contains(kind) ? "" : node.name
        }
    }

    /// What was seen while a fault lasted.
    private struct Sight {
        /// When somebody else led, and when the victim itself said that it cannot write.
        var led: Instant?
        var noticed: Instant?
        /// Who was said to be down by whom the victim is not.
        var down: Set<String> = []
    }

    /// Sleeps until it is time to heal: later than planned where what was promised has not come, so that it is seen how long it takes.
    private func watch(_ plan: PlannedFault, _ node: LabNode, since: Instant) async throws -> Sight {
        var seen = Sight()
        let promise = plan.kind.promise
        let until = since.advanced(by: .milliseconds(Int64(plan.hold * 1000)))
        let patience = since.advanced(by: .seconds(20))
        func isAwaited() -> Bool { promise.leader != nil && seen.led == nil || promise.notice != nil && seen.noticed == nil }
        while BootClock.now < until || isAwaited() && BootClock.now < patience {
            try await BootClock().sleep(for: .milliseconds(100))
            if promise.leader != nil, seen.led == nil, let leader = await lab.leader(but: node.name), leader != node.name {
                seen.led = BootClock.now
            }
            if promise.notice != nil, seen.noticed == nil, await lab.refusesWrites(node) { seen.noticed = BootClock.now }
            guard !promise.mayBeDown else { continue }
            for (witness, states) in await lab.verdicts() where witness != node.name {
                seen.down.formUnion(states.filter { $0.value == "down" }.map { "\($0.key) by \(witness)" })
            }
        }
        return seen
    }

    private func inject(_ kind: FaultKind, _ node: LabNode, _ other: LabNode) async throws {
        switch kind {
        case .killNode, .killLeader: await node.kill()
        case .freezeNode, .freezeLeader: node.freeze()
        case .restartNode: await node.terminate()
        case .isolateNode, .cutCatalog, .cutBalancer, .cutPath, .cutPathOneWay:
            for (from, to) in paths(kind, node, other) { try await lab.network.cut(from, to: to) }
        case .drainNode:
            try await insist("drained") {
                _ = try await lab.askAny(.post, "/api/nodes/\(node.name)/drain?force=true", within: .seconds(10))
            }
        case .addNode: try await lab.start(node)
        case .rebalance:
            try await insist("rebalanced") { _ = try await lab.askAny(.post, "/api/v1/cluster/rebalance", within: .seconds(10)) }
        case .killPostgres: await lab.postgres.kill()
        case .freezePostgres: try await lab.postgres.freeze()
        case .restartPostgres: await lab.postgres.stop()
        case .fillStore: try lab.store.fill()
        case .readOnlyStore: try await lab.store.makeReadOnly(node)
        case .unmountStore: try await lab.store.unmount(node)
        case .foreignStore: try await lab.store.mountForeign(node)
        case .hangStore: try await lab.store.hang(node)
        case .killAll:
            for node in lab.nodes { await node.kill() }
            await lab.postgres.kill()
        }
    }

    private func heal(_ kind: FaultKind, _ node: LabNode, _ other: LabNode) async throws {
        switch kind {
        case .killNode, .killLeader, .restartNode: try await lab.start(node)
        case .freezeNode, .freezeLeader: node.thaw()
        case .isolateNode, .cutCatalog, .cutBalancer, .cutPath, .cutPathOneWay:
            for (from, to) in paths(kind, node, other) { try await lab.network.mend(from, to: to) }
        case .drainNode: try await insist("undrained") { _ = try await lab.askAny(.post, "/api/nodes/\(node.name)/undrain") }
        case .addNode: try await remove(node)
        case .rebalance: break
        case .killPostgres, .restartPostgres: try await lab.postgres.restart()
        case .freezePostgres: lab.postgres.thaw()
        case .fillStore: lab.store.drainBallast()
        case .readOnlyStore: try await lab.store.makeWritable(node)
        case .unmountStore: try await lab.store.mount(node)
        case .foreignStore: try await lab.store.uncover(node)
        case .hangStore: try await lab.store.unhang(node)
        case .killAll:
            try await lab.postgres.restart()
            for node in lab.nodes { try await lab.start(node) }
        }
    }

    private func paths(_ kind: FaultKind, _ node: LabNode, _ other: LabNode) -> [(String, String)] {
        func both(_ others: [String]) -> [(String, String)] { others.flatMap { [(node.name, $0), ($0, node.name)] } }
        return switch kind {
        case .isolateNode: both(lab.network.hosts.filter { $0 != node.name })
        case .cutCatalog: both([Lab.catalogHost])
        case .cutBalancer: both([Lab.balancerHost])
        case .cutPath: both([other.name])
        default: [(node.name, other.name)]
        }
    }

    /// A guest leaves: others serve its shards first, then it is forgotten and stopped.
    private func remove(_ node: LabNode) async throws {
        try await insist("drained") { _ = try await lab.askAny(.post, "/api/nodes/\(node.name)/drain?force=true", but: node.name) }
        try await insist("serves nothing", within: .seconds(90)) {
            let shards = try await lab.askAny(.get, "/api/v1/cluster/shard-distribution", but: node.name)["shards_per_node"]?[node.name]
            guard shards == 0 || shards == nil else { throw ApusError(.nodeNeeded, "it still serves \(shards ?? 0) shards") }
        }
        lab.goes(node)
        await node.terminate()
        try await insist("forgotten") {
            let nodes = try await lab.askAny(.get, "/api/v1/cluster/nodes")["nodes"]?.asArray ?? []
            guard nodes.contains(where: { $0["id"]?.asString == node.name }) else { return }
            _ = try await lab.askAny(.delete, "/api/v1/cluster/nodes/\(node.name)")
            throw ApusError(.nodeNeeded, "it is still there")
        }
    }

    /// What an operator would do: try again while the cluster has other troubles.
    private func insist(_ what: String, within time: Duration = .seconds(60), _ body: () async throws -> Void) async throws {
        let until = BootClock.now.advanced(by: time)
        while true {
            do { return try await body() } catch {
                guard BootClock.now < until else { throw ApusError(.deadlineExceeded, "\(what): not in \(time.text): \(error)") }
            }
            try await BootClock().sleep(for: .milliseconds(300))
        }
    }
}
