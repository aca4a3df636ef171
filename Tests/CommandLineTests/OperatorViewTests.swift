import ApusRuntime
import ApusTypes
import Testing

@testable import apus

@Suite("What operators are shown")
struct OperatorViewTests {
    private func at(_ seconds: Int64) -> Instant { Instant(nanosecondsSinceBoot: seconds * 1_000_000_000) }

    private func vitals(_ nodes: (String, Int64, Int64)...) -> JSONValue {
        [
            "nodes": .array(
                nodes.map { ["node": .string($0.0), "requests_total": .integer($0.1), "failures_total": .integer($0.2)] }
                    + [["node": "away", "problem": "it does not answer"]])
        ]
    }

    @Test("rates are differences of two looks; a node that has started anew, or was away, has none at first")
    func rates() {
        var watch = StatusWatch()
        #expect(watch.rates(vitals(("a", 100, 1), ("b", 50, 0)), at: at(10)).isEmpty)
        #expect(watch.rates(vitals(("a", 300, 5), ("b", 10, 0)), at: at(12)) == ["a": .init(requests: 100, failures: 2)])
        #expect(watch.rates(vitals(("b", 30, 0)), at: at(14)) == ["b": .init(requests: 10, failures: 0)])
        #expect(watch.rates(vitals(("a", 900, 5), ("b", 30, 0)), at: at(15)) == ["b": .init(requests: 0, failures: 0)])
    }

    @Test("the failure tolerance is one line, with what each loss costs below it")
    func tolerance() {
        let status: JSONValue = [
            "nodes": [["name": "n1", "status": "active"], ["name": "n2", "status": "active"]],
            "failure_tolerance": [
                "nodes": 0, "reason": "catalog and store are on n1",
                "losses": [
                    ["node": "n1", "outcome": "lost", "reasons": ["it holds them", "and leads"]],
                    ["node": "n2", "outcome": "survived", "reasons": []],
                ],
            ],
        ]
        let lines = StatusCommand.lines(status, .plain)
        let index = lines.firstIndex(of: "failure tolerance 0: catalog and store are on n1")
        #expect(index.map { lines[$0 + 1] } == "  without n1: it holds them; and leads", "\(lines)")
        #expect(!lines.contains { $0.contains("without n2") })
        let away = StatusCommand.lines(["failure_tolerance": .null], .plain)
        #expect(away.contains("failure tolerance not known while the catalog is away"))
    }

    @Test("who is not reached is said below the nodes, with by whom and for how long")
    func unreached() {
        func lines(_ unreached: JSONValue) -> [String] {
            StatusCommand.unreached([["name": "n1", "unreached": .null], ["name": "n2", "unreached": unreached]], .plain)
        }
        #expect(lines(.null) == [])
        #expect(
            lines(["seconds": 75.5, "failures": ["n1", "n3"], "answers": [], "is_emptied": true]) == [
                "unreached: n2 beats, and has not answered n1, n3 for \(ImportProgress.time(75.5)); its shards are placed elsewhere; "
                    + "try: apus doctor cluster"
            ])
        #expect(lines(["seconds": 5, "failures": ["n1"], "answers": []])[0].contains("placed elsewhere") == false)
        #expect(
            lines(["seconds": 75, "failures": ["n1"], "answers": ["n3"], "is_emptied": false]) == [
                "unreached: n2 answers n3 again, and not n1: it is given nothing"
            ])
    }

    @Test("lines of several nodes come in the order of their times, and who is missing is said once")
    func logs() throws {
        var reader = LogReader(
            nodes: try AnyNode(
                Invocation(path: [], command: LogsCommand.command, terminal: .plain, environment: [:]), loops: EventLoops(count: 1)),
            node: nil, most: 10, since: 0, word: "")
        func line(_ time: String, _ text: String) -> JSONValue {
            ["time": .string(time), "level": "info", "text": .string(text)]
        }
        let reply: JSONValue = [
            "nodes": [
                ["node": "n1", "process": "7", "last": 2, "missed": 0, "lines": [line("01", "a"), line("03", "c")]],
                ["node": "n2", "process": "8", "last": 9, "missed": 4, "lines": [line("02", "b"), line("02", "b2")]],
            ],
            "missing": [["node": "n3", "reason": "it is frozen"]],
        ]
        let first = reader.take(reply)
        #expect(first.lines.map(\.text) == ["a", "b", "b2", "c"])
        #expect(first.notes == ["n2 did not keep 4 of its lines", "n3 did not answer: it is frozen"])
        #expect(reader.take(reply).notes == ["n2 did not keep 4 of its lines"])
    }

    @Test("--since counts back from now")
    func since() throws {
        let now = WallTime(millisecondsSinceEpoch: 1_000_000_000)
        #expect(try LogsCommand.moment("90s", now: now) == 999_910_000_000_000)
        #expect(try LogsCommand.moment("2h", now: now) == 992_800_000_000_000)
        for text in ["", "5", "h", "-1h", "1w", "1.5h"] {
            #expect(throws: ApusError.self) { try LogsCommand.moment(text, now: now) }
        }
    }
}
