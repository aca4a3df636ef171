import ApusTypes
import Testing

@testable import ApusRuntime

@Suite("The latest lines of the log")
struct LogRingTests {
    private func line(_ number: Int, _ metadata: [String: String] = [:]) -> LogLine {
        LogLine(level: .info, area: "test", message: "line \(number)", metadata: metadata)
    }

    private func filled(_ count: Int, lines: Int = 100, bytes: ByteCount = .mebibytes(1)) -> LogRing {
        let ring = LogRing(lines: lines, bytes: bytes)
        for number in 1...count { ring.add(line(number), at: Int64(number) * 1_000_000_000) }
        return ring
    }

    @Test("so many lines are kept, and so many bytes, whichever is less")
    func bounds() {
        let ring = filled(1000)
        #expect(ring.read(LogQuestion(most: 1000)).entries.map(\.number) == Array(901...1000))
        let small = LogRing(lines: 1000, bytes: .kibibytes(4))
        for number in 1...1000 { small.add(line(number, ["text": String(repeating: "x", count: 1000)]), at: 0) }
        let kept = small.read(LogQuestion(most: 1000)).entries
        #expect(kept.count == 3 && kept.last?.number == 1000)
        small.add(line(0, ["text": String(repeating: "x", count: 10_000)]), at: 0)
        #expect(small.read(LogQuestion(most: 1000)).entries.isEmpty, "one that is larger than all of it is not kept")
        small.add(line(1), at: 0)
        #expect(small.read(LogQuestion(most: 1000)).entries.map(\.number) == [1002])
    }

    @Test("the latest, those after a time, those with a word, those after a place; what is gone is counted")
    func questions() {
        let ring = filled(200)
        let page = ring.read(LogQuestion(most: 3))
        #expect(page.entries.map(\.message) == ["line 198", "line 199", "line 200"] && page.last == 200 && page.missed == 0)
        #expect(ring.read(LogQuestion(most: 1000, since: 199 * 1_000_000_000)).entries.map(\.number) == [199, 200])
        #expect(ring.read(LogQuestion(most: 1000, word: "line 15")).entries.map(\.number) == Array(150...159))
        ring.add(line(0, ["request_id": "abc-7"]), at: 0)
        #expect(ring.read(LogQuestion(most: 1000, word: "abc-7")).entries.map(\.number) == [201])
        #expect(ring.read(LogQuestion(most: 1000, process: page.process, after: 199)).entries.map(\.number) == [200, 201])
        let late = ring.read(LogQuestion(most: 1000, process: page.process, after: 50))
        #expect(late.missed == 51 && late.entries.first?.number == 102)
        // A number of an earlier process means nothing.
        #expect(ring.read(LogQuestion(most: 1000, process: page.process &+ 1, after: 150)).entries.count == 100)
    }

    @Test("a line goes over the wire as it is, and as a guide's reader expects its time")
    func forms() throws {
        let ring = LogRing()
        ring.add(
            LogLine(level: .warning, area: "catalog", message: "it did not answer", metadata: ["host": "10.0.0.1", "why": "a b"]),
            at: 1_763_822_829_123_456_789)
        let page = ring.read(LogQuestion(most: 1))
        #expect(try LogPage(wireBytes: page.wireBytes) == page)
        #expect(page.entries[0].time == "2025-11-22T14:47:09.123456789Z")
        #expect(page.entries[0].text == #"warning catalog: it did not answer host=10.0.0.1 why="a b""#)
        let question = LogQuestion(most: 5, since: 6, word: "w", process: 7, after: 8)
        #expect(try LogQuestion(wireBytes: question.wireBytes) == question)
        #expect(throws: ApusError.self) { try LogPage(wireBytes: [1, 2, 3]) }
    }

    @Test(
        "no secret leaves the machine with a line",
        arguments: [
            (
                "connection to postgresql://apus:hunter2@db:5432/apus failed",
                "connection to postgresql://apus:<redacted>@db:5432/apus failed"
            ),
            ("key apus_0123456789abcdef_00ff is unknown", "key apus_<redacted> is unknown"),
            ("password=hunter2 user=x", "password=<redacted> user=x"),
            ("password: hunter2", "password: <redacted>"), ("http://10.0.0.1:15002/a@b", "http://10.0.0.1:15002/a@b"),
            ("apus_http_requests_total", "apus_http_requests_total"), ("nothing here", "nothing here"),
        ])
    func secrets(text: String, shown: String) {
        let ring = LogRing()
        ring.add(line(1, ["error": text]), at: 0)
        #expect(ring.read(LogQuestion(most: 1)).entries[0].metadata["error"] == shown)
    }
}
