internal import Synchronization

/// What a family holds for one combination of label values.
public protocol MetricSeries: Sendable {
    func samples() -> [MetricSample]
}

public struct MetricSample: Sendable {
    /// `_bucket`, `_sum`, `_count` of a histogram; else empty.
    var suffix = ""
    /// `le="0.5"`.
    var label: String?
    var value: String
}

/// A number that only rises.
public final class Counter: MetricSeries {
    private let value = Atomic<Int>(0)

    public func increment(by amount: Int = 1) { value.wrappingAdd(amount, ordering: .relaxed) }
    public var count: Int { value.load(ordering: .relaxed) }
    public func samples() -> [MetricSample] { [MetricSample(value: String(count))] }
}

/// A number that rises and falls.
public final class Gauge: MetricSeries {
    private let value = Atomic<UInt64>(0)

    public func set(_ new: Double) { value.store(new.bitPattern, ordering: .relaxed) }

    public func add(_ amount: Double) {
        var old = value.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (isDone, current) = value.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if isDone { return }
            old = current
        }
    }

    public var current: Double { Double(bitPattern: value.load(ordering: .relaxed)) }
    public func samples() -> [MetricSample] { [MetricSample(value: metricText(current))] }
}

/// How observations are spread over buckets.
public final class Histogram: MetricSeries {
    private let bounds: [Double]
    private let state: Mutex<(counts: [Int], sum: Double)>

    init(buckets: [Double]) {
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy(<), "buckets are upper bounds in ascending order")
        bounds = buckets
        state = Mutex((Array(repeating: 0, count: buckets.count + 1), 0))
    }

    public func observe(_ value: Double) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += value
        }
    }

    public func samples() -> [MetricSample] {
        let (counts, sum) = state.withLock { $0 }
        var samples: [MetricSample] = []
        var total = 0
        for (count, bound) in zip(counts, bounds.map(metricText) + ["+Inf"]) {
            total += count
            samples.append(MetricSample(suffix: "_bucket", label: "le=\"\(bound)\"", value: String(total)))
        }
        samples.append(MetricSample(suffix: "_sum", value: metricText(sum)))
        samples.append(MetricSample(suffix: "_count", value: String(total)))
        return samples
    }
}

/// A number as Prometheus writes it: without a useless fraction.
private func metricText(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
}
