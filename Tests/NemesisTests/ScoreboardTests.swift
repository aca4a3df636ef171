import ApusTypes
import Foundation
import NemesisKit
import Testing

@Suite("the scoreboard of failures")
struct ScoreboardTests {
    @Test("figures are of faults that came alone; what did not run says so")
    func figures() {
        var script = HistoryScript()
        script.fault(.killNode, 10, 15, whole: 22)
        script.fault(.killNode, 30, 35, whole: 36)
        script.fault(.killNode, 40, 45, whole: 90, and: .killPostgres)
        let liveness = Liveness(script.history)
        let episodes = script.history.episodes.map { Scoreboard.json($0, liveness.outage(of: $0)) }
        let run: JSONValue = [
            "seed": "5", "date": "today", "faults": 4, "operations": 9, "violations": ["late: x"], "episodes": .array(episodes),
        ]
        let document = Scoreboard(results: [run]).document
        #expect(document.contains("1 runs over 1 seeds are kept: 4 faults, 9 operations, 1 violations."))
        #expect(
            document.contains(
                "| a node returns | it rejoins and reloads | no step by hand | whole | 2 | 1.00 | 7.00 | `ClusterProcessTests.killed` |"))
        #expect(
            document.contains(
                "| every node and PostgreSQL are killed at once | every acknowledged write is there after the start | always | whole | not run yet | |"
            ))
        #expect(document.contains("- seed 5, today: late: x"))
    }

    @Test("docs/failures.md is what the kept results say")
    func document() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let folder = root.appending(path: "Benchmarks/results")
        let results = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasPrefix("nemesis-") && $0.hasSuffix(".json") }.sorted()
            .map { try JSONValue(parsing: Array(try Data(contentsOf: folder.appending(path: $0)))) }
        let document = try String(contentsOf: root.appending(path: "docs/failures.md"), encoding: .utf8)
        #expect(Scoreboard(results: results).document == document)
    }
}
