import ApusTypes
import Testing

@testable import ApusCluster

@Suite("Examination of a cluster")
struct ClusterExaminationTests {
    private func answer(_ change: (inout NodeFacts) -> Void = { _ in }, ahead: Duration = .zero) -> ClusterExamination.Answer {
        var facts = NodeFacts()
        facts.version = "1"
        facts.settings = ["leases.length_seconds": "4", "membership.down_seconds": "5"]
        facts.disks = [.init(path: "/d", free: .gibibytes(50), total: .gibibytes(100))]
        change(&facts)
        return .init(facts: facts, ahead: ahead)
    }

    private func kinds(_ answers: [NodeName: ClusterExamination.Answer?]) -> [String] {
        ClusterExamination(answers, own: "n1").findings.map { "\($0.kind.rawValue) \($0.node)" }
    }

    @Test("a healthy cluster has no findings")
    func healthy() {
        #expect(kinds(["n1": answer(), "n2": answer(ahead: .seconds(-4)), "n3": answer(ahead: .seconds(4))]) == [])
    }

    @Test("each cause is one finding, named for where it is")
    func causes() {
        #expect(
            kinds([
                "n1": answer(),
                "n2": answer {
                    $0.unreached = [
                        .init(node: "n3", address: "10.0.0.3:15002", reason: "refused"),
                        .init(node: "n3", address: "10.0.0.3:15003", reason: "x"),
                    ]
                }, "n3": answer(),
            ]) == ["net.unreachable n2"])
        let skewed = ClusterExamination(["n1": answer(), "n3": answer(ahead: .seconds(90))], own: "n1").findings
        #expect(skewed.map(\.text) == ["the clock of n3 is 90 s ahead of that of n1"])
        #expect(kinds(["n1": answer(), "n2": answer { $0.version = "2" }]) == ["version.differs n2"])
        let differs = ClusterExamination(["n1": answer(), "n2": answer { $0.settings["leases.length_seconds"] = "8" }], own: "n1").findings
        #expect(differs.map(\.facts) == [["key": "leases.length_seconds"]])
        #expect(kinds(["n1": answer { $0.disks[0].free = .gibibytes(9) }]) == ["disk.low n1"])
        #expect(kinds(["n2": answer { $0.problems = [.init(code: "store.foreign", summary: "s")] }, "n1": answer()]) == ["problem n2"])
        // Whoever shows a finding adds its code.
        let problem = ClusterExamination(["n1": answer { $0.problems = [.init(code: "store.foreign", summary: "s")] }], own: "n1").findings
        #expect(problem.map(\.text) == ["n1: s"] && problem[0].facts["code"] == "store.foreign")
    }

    @Test("a node that is silent is one finding, not one for each neighbour; a setting that only one says is none")
    func silence() {
        let toSilent: (inout NodeFacts) -> Void = { $0.unreached = [.init(node: "n3", address: "a:1", reason: "r")] }
        #expect(kinds(["n1": answer(toSilent), "n2": answer(toSilent), "n3": nil as ClusterExamination.Answer?]) == ["node.silent n3"])
        #expect(kinds(["n1": answer(), "n2": answer { $0.settings = ["new": "1"] }]) == [])
    }

    @Test("what a node says survives the way")
    func wire() throws {
        let facts = answer {
            $0.unreached = [.init(node: "n3", address: "[::1]:1", reason: "r")]
            $0.problems = [.init(code: "c", summary: "s")]
        }.facts
        #expect(NodeFacts(try JSONValue(parsing: Array(facts.value.description.utf8))) == facts)
        #expect(NodeFacts(["unreached": [["node": 1]], "disks": 3]).unreached.isEmpty)
        #expect(NodeFacts(["settings": ["\u{E9}": "a", "e\u{301}": "b"]]).settings.count == 1)
    }
}
