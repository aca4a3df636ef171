import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import Synchronization
import TestKit
import Testing

@testable import apus

@Suite("A local cluster's plan")
struct LocalClusterPlanTests {
    @Test("each node has the usual ports on an address of its own, or ports of its own where there is one address")
    func addresses() {
        let many = LocalClusterPlan(directory: "/d", nodes: 3, port: 15_002, hasAddresses: true)
        #expect(many.nodes.map(\.url) == ["http://127.0.0.1:15002", "http://127.0.0.2:15002", "http://127.0.0.3:15002"])
        #expect(many.nodes.allSatisfy { $0.clusterPort == 15_003 && $0.rpcPort == 15_503 } && many.catalogPort == 15_432)
        let one = LocalClusterPlan(directory: "/d", nodes: 9, port: 15_002, hasAddresses: false)
        #expect(one.nodes.map(\.host) == Array(repeating: "127.0.0.1", count: 9))
        for plan in [many, one] {
            #expect(Set(plan.addresses.map { "\($0.host):\($0.port)" }).count == plan.addresses.count, "\(plan)")
        }
    }

    @Test("one node needs no PostgreSQL, no secret and no port for others")
    func alone() {
        let plan = LocalClusterPlan(directory: "/d", nodes: 1, port: 15_002, hasAddresses: true)
        #expect(plan.catalogPort == nil && plan.kind == "sqlite")
        #expect(plan.environment(of: plan.nodes[0]).keys.allSatisfy { !$0.contains("CLUSTER") && !$0.contains("CATALOG") })
        #expect(plan.addresses.map(\.port) == [15_002, 15_503])
    }

    @Test("what --fresh removes is what earlier runs have made, and nothing that others have put there")
    func parts() {
        let plan = LocalClusterPlan(directory: "/d", nodes: 3, port: 15_002, hasAddresses: true)
        let names = [
            "admin.key", "apus.yml", "n1", "n12", "nodes", "n", "notes.txt", "n0", "postgres", "store", "up.json", "up.lock", "catalog.url",
        ]
        #expect(plan.parts(among: names) == ["admin.key", "n1", "n12", "postgres", "store", "up.json", "catalog.url"])
    }

    @Test("pauses before a restart grow to half a minute, and begin anew after a good run")
    func backOff() {
        var backOff = RestartBackOff()
        let pauses = (0..<9).map { _ in backOff.pause(after: .seconds(1)).seconds }
        #expect(pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30])
        #expect(backOff.pause(after: .seconds(61)) == .milliseconds(500))
        #expect(backOff.pause(after: .seconds(1)) == .seconds(1))
    }
}

@Suite("A supervised process")
struct SupervisorTests {
    private final class Events: Sendable {
        private let seen = Mutex<[String]>([])
        var all: [String] { seen.withLock { $0 } }

        func add(_ event: Supervisor.Event) {
            let text =
                switch event {
                case .started: "started"
                case .ended(let exit, let pause): "\(exit), \(pause.seconds)"
                case .failed(let error, let pause): "\(error.code), \(pause.seconds)"
                }
            seen.withLock { $0.append(text) }
        }
    }

    @Test("what ends is started again, what is told to stop is not")
    func restarts() async throws {
        let events = Events()
        let supervisor = Supervisor(.init("/bin/sleep", ["1000"], output: .discarded), on: TestLoops.shared.first) { events.add($0) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await supervisor.run() }
            func started(_ count: Int) async { while events.all.count(where: { $0 == "started" }) < count { await Task.yield() } }
            await started(1)
            supervisor.process?.send(signal: SIGKILL)
            await started(2)
            await supervisor.stop(grace: .seconds(10))
        }
        #expect(events.all == ["started", "signal 9, 0.5", "started"])
        #expect(supervisor.process == nil)
    }

    @Test("what does not hear is killed; what cannot be started is tried again, and stopping does not wait for that")
    func stubborn() async throws {
        let events = Events()
        let deaf = Supervisor(
            .init("/bin/sh", ["-c", "trap '' TERM; echo x; while :; do sleep 0.1; done"], output: .discarded), on: TestLoops.shared.first
        ) { events.add($0) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await deaf.run() }
            while deaf.process == nil { await Task.yield() }
            await deaf.stop(grace: .milliseconds(300))
        }
        let missing = Supervisor(.init("/nowhere/at/all"), on: TestLoops.shared.first) { events.add($0) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await missing.run() }
            while events.all.count(where: { $0.hasPrefix("process.failed") }) < 3 { await Task.yield() }
            await missing.stop(grace: .seconds(1))
        }
        #expect(events.all == ["started", "process.failed, 0.5", "process.failed, 1.0", "process.failed, 2.0"])
    }
}
