import ApusTypes
import NemesisKit

/// A history made by hand: times in seconds.
struct HistoryScript {
    var history = History(values: ValueSpace(seed: 7), replicas: ["c": 2, "s": 1])

    static func instant(_ seconds: Double) -> Instant { Instant(nanosecondsSinceBoot: Int64(seconds * 1000) * 1_000_000) }

    /// `until` nil: it was given up.
    mutating func put(_ id: String, _ value: Int, _ from: Double, _ until: Double?, in collection: String = "c") {
        add(.put(id: id, value: value), from, until ?? from + 1, collection, until == nil ? .unknown : .done)
    }

    mutating func delete(_ id: String, _ from: Double, _ until: Double?) {
        add(.delete(id: id), from, until ?? from + 1, "c", until == nil ? .unknown : .done)
    }

    /// A reading by id; nil: it said that the point is not there.
    mutating func read(_ id: String, _ value: Int?, _ from: Double, _ until: Double, isStale: Bool = false) {
        add(.read(id: id), from, until, "c", .done, hits: value.map { [.init(id: id, value: $0, score: 0)] } ?? [], isStale: isStale)
    }

    /// A search from the origin that found these values, with the right scores and in the right order.
    mutating func search(
        _ found: [(String, Int)], limit: Int = 100, _ from: Double, _ until: Double, isComplete: Bool = true, isStale: Bool = false,
        isExact: Bool = true, in collection: String = "c"
    ) {
        let hits = found.map { Operation.Hit(id: $0.0, value: $0.1, score: length($0.1)) }.sorted { $0.score < $1.score }
        add(
            .search(query: [0, 0, 0, 0], limit: limit, isExact: isExact), from, until, collection, .done, hits: hits,
            isComplete: isComplete, isStale: isStale)
    }

    mutating func list(_ found: [(String, Int)], _ from: Double, _ until: Double) {
        add(.list, from, until, "c", .done, hits: found.map { .init(id: $0.0, value: $0.1, score: 0) })
    }

    /// How far a value's vector is from the origin.
    func length(_ value: Int) -> Float { distance([0, 0, 0, 0], history.values.vector(of: value)) }

    mutating func add(
        _ action: Operation.Action, _ from: Double, _ until: Double, _ collection: String, _ outcome: Operation.Outcome,
        hits: [Operation.Hit] = [], isComplete: Bool = true, isStale: Bool = false
    ) {
        let number = history.operations.count + 1
        let attempt = Operation.Attempt(from: Self.instant(from), until: Self.instant(until), status: outcome == .done ? 200 : 503)
        history.operations.append(
            Operation(
                number: number, client: "w1", collection: collection, action: action, invoked: Self.instant(from),
                completion: .init(
                    at: Self.instant(until), outcome: outcome, attempts: [attempt], hits: hits, isComplete: isComplete, isStale: isStale)))
    }

    mutating func fault(
        _ kind: FaultKind, _ injected: Double, _ healed: Double, whole: Double?, led: Double? = nil, noticed: Double? = nil,
        down: [String] = [],
        and other: FaultKind? = nil
    ) {
        var faults = [
            Episode.Fault(
                kind: kind, target: "n2", injected: Self.instant(injected), healed: Self.instant(healed), led: led.map(Self.instant),
                noticed: noticed.map(Self.instant), down: down)
        ]
        if let other {
            faults.append(.init(kind: other, target: "n3", injected: Self.instant(injected), healed: Self.instant(healed)))
        }
        history.episodes.append(Episode(faults: faults, whole: whole.map(Self.instant), until: Self.instant(whole ?? healed + 120)))
    }

    var kinds: [Violation.Kind] { Checker.violations(of: history).map(\.kind) }
}
