import ApusRuntime
import ApusTypes
import Testing

@Suite("metrics, logs and health")
struct MetricsTests {
    @Test("are written as Prometheus reads them")
    func text() {
        let registry = MetricsRegistry()
        registry.counter("apus_a_requests_total", help: "Requests.", labels: ["path"]).with("a\"b\\c\nd").increment(by: 3)
        registry.gauge("apus_b_bytes", help: "Bytes.").with().set(1.5)
        let histogram = registry.histogram("apus_c_seconds", help: "Time.", buckets: [0.5, 1]).with()
        [0.25, 0.75, 4].forEach(histogram.observe)
        #expect(
            String(decoding: registry.text(), as: UTF8.self) == """
                # HELP apus_a_requests_total Requests.
                # TYPE apus_a_requests_total counter
                apus_a_requests_total{path="a\\"b\\\\c\\nd"} 3
                # HELP apus_b_bytes Bytes.
                # TYPE apus_b_bytes gauge
                apus_b_bytes 1.5
                # HELP apus_c_seconds Time.
                # TYPE apus_c_seconds histogram
                apus_c_seconds_bucket{le="0.5"} 1
                apus_c_seconds_bucket{le="1"} 2
                apus_c_seconds_bucket{le="+Inf"} 3
                apus_c_seconds_sum 5
                apus_c_seconds_count 3

                """)
    }

    @Test("a family keeps a bounded number of series")
    func bounded() {
        let registry = MetricsRegistry()
        let family = registry.counter("apus_d_total", help: "D.", labels: ["name"])
        for number in 0..<(MetricsRegistry.seriesLimit + 50) { family.with("n\(number)").increment() }
        #expect(family.with("n0").count == 1)
        #expect(family.with("unseen").count == 50)
    }

    @Test("a log line is one line in both forms, whatever its data holds")
    func logLine() {
        let line = LogLine(level: .warning, area: "store", message: "the disk is full", metadata: ["path": "/a b\n\"c\"", "n": "1"])
        let time = WallTime(millisecondsSinceEpoch: 0)
        #expect(line.text(at: time) == #"00:00:00.000 warning store: the disk is full n=1 path="/a b\n\"c\"""# + "\n")
        #expect(
            line.json(at: time)
                == #"{"time":"1970-01-01T00:00:00.000Z","level":"warning","area":"store","message":"the disk is full","n":"1","path":"/a b\n\"c\""}"#
                + "\n")
    }

    @Test("a field never has a name of the line's own")
    func logFields() {
        let line = LogLine(
            level: .info, area: "node", message: "waiting",
            metadata: ["message": "refused", "time": "1", "level": "2", "area": "3", "lane": "read"])
        #expect(
            line.json(at: WallTime(millisecondsSinceEpoch: 0))
                == #"{"time":"1970-01-01T00:00:00.000Z","level":"info","area":"node","message":"waiting","field_area":"3","#
                + #""field_level":"2","field_message":"refused","field_time":"1","lane":"read"}"# + "\n")
    }

    @Test("readiness says why not, for each ability, and does not latch")
    func readiness() {
        let health = Health()
        #expect(health.readiness().isReady)
        health.report("store", ApusError(.storeFull, "the disk is full"), blocks: [.write])
        #expect(!health.readiness(for: [.write]).isReady)
        #expect(health.readiness(for: [.read]).isReady)
        #expect(health.readiness().problems.map(\.code) == [.storeFull])
        health.report("cache", ApusError(.storeUnavailable, "the cache is away"), blocks: [])
        health.recover("store")
        #expect(health.readiness().isReady)
        #expect(health.readiness().problems.map(\.component) == ["cache"])
        health.drain()
        #expect(health.readiness(for: [.read]).problems.map(\.code) == [.nodeDraining])
    }
}
