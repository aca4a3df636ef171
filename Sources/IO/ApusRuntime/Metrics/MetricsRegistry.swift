internal import Synchronization

/// The process's metrics, written in Prometheus' text format (version 0.0.4).
///
/// Names are `apus_<area>_<noun>_<unit>[_total]`; a face may add the names that its ecosystem expects. Labels come from closed sets: a
/// family holds at most `seriesLimit` series, and what comes after goes to one series whose labels are all "other".
public final class MetricsRegistry: Sendable {
    public static let seriesLimit = 2000

    private let families = Mutex<[String: any MetricFamily]>([:])
    private let collectors = Mutex<[@Sendable () -> Void]>([])

    public init() {}

    /// The family of that name; asking again gives the same one. A name with another kind or other labels is a programming error.
    public func counter(_ name: String, help: String, labels: [String] = []) -> CounterFamily {
        family(name) { CounterFamily(name: name, kind: "counter", help: help, labels: labels) { Counter() } }
    }

    public func gauge(_ name: String, help: String, labels: [String] = []) -> GaugeFamily {
        family(name) { GaugeFamily(name: name, kind: "gauge", help: help, labels: labels) { Gauge() } }
    }

    /// A counter that something else counts, with fractions: it is set, and only rises.
    func countedElsewhere(_ name: String, help: String) -> Gauge {
        family(name) { GaugeFamily(name: name, kind: "counter", help: help, labels: []) { Gauge() } }.with()
    }

    /// `buckets` are upper bounds in ascending order, without +Inf.
    public func histogram(_ name: String, help: String, labels: [String] = [], buckets: [Double]) -> HistogramFamily {
        family(name) { HistogramFamily(name: name, kind: "histogram", help: help, labels: labels) { Histogram(buckets: buckets) } }
    }

    /// Runs `body` before each scrape: for gauges that are read, not counted.
    public func onScrape(_ body: @escaping @Sendable () -> Void) { collectors.withLock { $0.append(body) } }

    public func text() -> [UInt8] {
        for collect in collectors.withLock({ $0 }) { collect() }
        var text = ""
        for (_, family) in families.withLock({ $0 }).sorted(by: { $0.key < $1.key }) { family.write(to: &text) }
        return Array(text.utf8)
    }

    /// What the counters of a family come to together, of those whose label values `isWanted`; 0 where there is no such family.
    public func total(_ name: String, where isWanted: ([String]) -> Bool) -> Int {
        (families.withLock { $0[name] } as? CounterFamily)?.total(where: isWanted) ?? 0
    }

    private func family<Family: MetricFamily>(_ name: String, _ make: () -> Family) -> Family {
        families.withLock { families in
            if let existing = families[name] {
                guard let family = existing as? Family else { preconditionFailure("the metric \(name) exists as another kind") }
                return family
            }
            let family = make()
            families[name] = family
            return family
        }
    }
}

public typealias CounterFamily = Family<Counter>
public typealias GaugeFamily = Family<Gauge>
public typealias HistogramFamily = Family<Histogram>

protocol MetricFamily: Sendable {
    func write(to text: inout String)
}

/// One name with its series, one for each combination of label values.
public final class Family<Series: MetricSeries>: MetricFamily {
    let name: String
    let kind: String
    let help: String
    let labels: [String]
    private let make: @Sendable () -> Series
    private let series = Mutex<[[String]: Series]>([:])

    init(name: String, kind: String, help: String, labels: [String], make: @escaping @Sendable () -> Series) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.make = make
        if labels.isEmpty { _ = with() }  // a metric without labels is there from the start, as zero
    }

    /// The series with these label values, in the order of the family's labels. Keep it where it is used often.
    public func with(_ values: String...) -> Series { with(values) }

    public func with(_ values: [String]) -> Series {
        precondition(values.count == labels.count, "\(name) has the labels \(labels)")
        return series.withLock { series in
            if let existing = series[values] { return existing }
            let key = series.count < MetricsRegistry.seriesLimit ? values : labels.map { _ in "other" }
            if let existing = series[key] { return existing }
            let made = make()
            series[key] = made
            return made
        }
    }

    /// Forgets the series that `isStale` says (a collection that was deleted).
    public func remove(where isStale: ([String]) -> Bool) {
        series.withLock { series in series = series.filter { !isStale($0.key) } }
    }

    func total(where isWanted: ([String]) -> Bool) -> Int where Series == Counter {
        series.withLock { $0 }.reduce(0) { isWanted($1.key) ? $0 + $1.value.count : $0 }
    }

    func write(to text: inout String) {
        let series = series.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        guard !series.isEmpty else { return }
        text += "# HELP \(name) \(help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n"))\n# TYPE \(name) \(kind)\n"
        for (values, one) in series {
            let pairs = zip(labels, values).map { "\($0)=\"\(Self.escaped($1))\"" }
            for sample in one.samples() {
                let all = sample.label.map { pairs + [$0] } ?? pairs
                text += name + sample.suffix + (all.isEmpty ? "" : "{\(all.joined(separator: ","))}") + " \(sample.value)\n"
            }
        }
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
