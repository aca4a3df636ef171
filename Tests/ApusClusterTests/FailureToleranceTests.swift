import ApusTypes
import Testing

@testable import ApusCluster

@Suite("failure tolerance")
struct FailureToleranceTests {
    private let three: [FailureTolerance.Node] = [.init("n2"), .init("n1"), .init("n3")]
    private let outside = FailureTolerance.Place.outside("PostgreSQL at db:5432")

    private func outcomes(_ tolerance: FailureTolerance) -> [String] { tolerance.losses.map { "\($0.node) \($0.outcome.rawValue)" } }

    @Test("a catalog that a node hosts, with the objects in it: 0, because of that node, and the others may go")
    func hosted() {
        let tolerance = FailureTolerance(
            nodes: three, catalog: .node("n1"), store: .node("n1"), serving: [["n1", "n2"], ["n2", "n3"], ["n3", "n1"]])
        #expect(tolerance.summary == "0: catalog and store are on n1")
        #expect(outcomes(tolerance) == ["n1 lost", "n2 survived", "n3 survived"])
        #expect(tolerance.losses[0].reasons == ["catalog and store are on it: no writes until it is back, and its disk has no copy"])
        let apart = FailureTolerance(nodes: three, catalog: .node("n2"), store: .outside("/mnt/shared"), serving: [])
        #expect(apart.summary == "0: the catalog is on n2" && apart.losses[1].reasons[0].hasPrefix("the catalog is on it: "))
        let store = FailureTolerance(nodes: three, catalog: outside, store: .node("n3"), serving: [])
        #expect(store.summary == "0: the store is on n3" && outcomes(store) == ["n1 survived", "n2 survived", "n3 lost"])
    }

    @Test("with catalog and store elsewhere all nodes but one may go, and it says whose safety that stands on")
    func elsewhere() {
        let tolerance = FailureTolerance(
            nodes: three, catalog: outside, store: .outside("/mnt/shared"), serving: [["n1", "n2"], ["n2", "n3"]])
        #expect(tolerance.nodes == 2)
        #expect(
            tolerance.reason
                == "nodes keep nothing of their own; the catalog (PostgreSQL at db:5432) and the store (/mnt/shared) are as safe as they are by themselves"
        )
        #expect(tolerance.losses.allSatisfy { $0.outcome == .survived && $0.reasons.isEmpty })
        let together = FailureTolerance(nodes: three, catalog: outside, store: outside, serving: [])
        #expect(together.reason.hasSuffix("the catalog (PostgreSQL at db:5432) is as safe as it is by itself"))
    }

    @Test("shards that one node serves alone are missing for a while, and nothing is lost")
    func loneReplicas() {
        let tolerance = FailureTolerance(
            nodes: three, catalog: outside, store: outside, serving: [["n1"], ["n1"], ["n2"], ["n2", "n3"], []])
        #expect(tolerance.nodes == 2)
        #expect(outcomes(tolerance) == ["n1 interrupted", "n2 interrupted", "n3 survived"])
        #expect(tolerance.losses[0].reasons == ["2 shards are missing from searches until others have loaded them"])
        #expect(tolerance.losses[1].reasons == ["1 shard is missing from searches until others have loaded them"])
    }

    @Test("one that alone may lead, or alone serves, cannot be spared")
    func roles() {
        let leader = FailureTolerance(
            nodes: [.init("m", isWorker: false), .init("a", isManager: false), .init("b", isManager: false)], catalog: outside,
            store: outside, serving: [["a", "b"]])
        #expect(leader.summary == "0: one node alone may lead")
        #expect(outcomes(leader) == ["a survived", "b survived", "m interrupted"])
        let worker = FailureTolerance(
            nodes: [.init("m", isWorker: false), .init("a")], catalog: outside, store: outside, serving: [["a"]])
        #expect(worker.summary == "0: a alone serves data")
        #expect(outcomes(worker) == ["a lost", "m survived"])
        #expect(FailureTolerance(nodes: [], catalog: outside, store: outside, serving: []).summary == "0: no node serves data")
    }

    @Test("nodes on one machine share what happens to it")
    func oneMachine() {
        let tolerance = FailureTolerance(nodes: three, catalog: outside, store: .sharedMachine, serving: [["n1", "n2"]])
        #expect(tolerance.summary == "0: all nodes share the disk of one machine")
    }
}

@Suite("where the catalog is")
struct CatalogPlaceTests {
    private let nodes: [NodeName: String] = ["n1": "http://10.0.0.1:15002", "n2": "http://10.0.0.2:15002", "n3": "http://[::1]:15002"]

    @Test(
        "at a node's address it is on that node, on loopback on the one that asks, else elsewhere",
        arguments: [
            (["10.0.0.2:5432"], FailureTolerance.Place.node("n2")), (["127.0.0.1:5432"], .node("n1")), (["localhost:5432"], .node("n1")),
            (["/var/lib/apus/postgresql:5432"], .node("n1")), (["[::1]:5432"], .node("n3")),
            (["db.example.com:5432"], .outside("PostgreSQL at db.example.com:5432")),
            (["10.0.0.2:5432", "10.0.0.9:5432"], .outside("PostgreSQL at 10.0.0.2:5432, 10.0.0.9:5432")),
        ])
    func hosts(hosts: [String], place: FailureTolerance.Place) {
        #expect(FailureTolerance.Place(ofCatalogAt: hosts, nodes: nodes, asked: "n1") == place)
    }
}
