internal import ApusTypes

/// All that was written to one point and seen of it, as a register with one writer at a time.
///
/// The writer waits for each acknowledgement before it writes again, so the states follow each other; only the last write may be one of which
/// nobody knows what came. A reading may show any state that the point had between its question and its answer: not one before the last
/// write that was acknowledged by then, and not one of a write that was not yet sent. (Of a write that is not acknowledged yet one node may
/// know and another may not: a regular register, Lamport 1986.) And what somebody has seen is committed, and every node looks at the log
/// once in a while: from `settled` later on all show it.
struct PointHistory {
    struct Write {
        var number: Int
        /// Nil: a deletion.
        var value: Int?
        /// What the value stands for.
        var vector: [Float] = []
        var invoked: Instant
        /// Nil: nobody knows whether it was done.
        var acknowledged: Instant?
    }

    /// What a reading says of the point.
    struct Reading {
        var number: Int
        var from: Instant
        var until: Instant
        /// It is marked as old: earlier states are right too.
        var isStale: Bool
        var shows: Sight
    }

    enum Sight {
        case value(Int?)
        case nothing
        /// Not among the nearest of a search: it is not there, or at least so far away.
        case beyond(Float, of: [Float])
    }

    /// A node answers from a look at the log that is less than a second old, or looks first.
    static let settled = Duration.seconds(2)

    let id: String
    private(set) var writes: [Write] = []
    private(set) var readings: [Reading] = []

    init(id: String) { self.id = id }

    /// Writes come in the order in which they were sent. False where one began before the one before it had ended.
    mutating func add(_ write: Write) -> Bool {
        defer { writes.append(write) }
        guard let last = writes.last else { return true }
        return last.acknowledged.map { $0 <= write.invoked } ?? false
    }

    mutating func add(_ reading: Reading) { readings.append(reading) }

    /// The state after so many writes.
    private func state(_ index: Int) -> Int? { index == 0 ? nil : writes[index - 1].value }

    /// The earliest and the latest state that a reading may show.
    func window(_ from: Instant, _ until: Instant) -> (first: Int, last: Int) {
        let last = writes.partition { $0.invoked <= until }
        let first = writes.partition { $0.acknowledged.map { $0 < from } ?? false }
        return (first, last)
    }

    /// Whether a search whose nearest are nearer than that may have left the point out, whatever else was seen.
    func mayBeBeyond(_ distance: Float, of query: [Float], _ window: (first: Int, last: Int)) -> Bool {
        (window.first...window.last).contains { fits($0, .beyond(distance, of: query)) }
    }

    private func fits(_ index: Int, _ sight: Sight) -> Bool {
        let state = state(index)
        switch sight {
        case .value(let value): return state != nil && state == value
        case .nothing: return state == nil
        case .beyond(let least, let query):
            return state == nil || distance(query, writes[index - 1].vector) >= least - Checker.tolerance
        }
    }

    func violations() -> [Violation] {
        // By time. At a question it is known what all must show since long; at the answer it is decided what it shows.
        enum Event: Int { case shownToAll, question, answer }
        var events: [(at: Instant, what: Event, reading: Int)] = []
        for (index, reading) in readings.enumerated() {
            events.append((reading.from, .question, index))
            events.append((reading.until, .answer, index))
            events.append((reading.until.advanced(by: Self.settled), .shownToAll, index))
        }
        events.sort { ($0.at, $0.what.rawValue) < ($1.at, $1.what.rawValue) }
        var common: (state: Int, by: Int?) = (0, nil)
        var floors = readings.map { _ in (state: 0, by: Int?.none) }
        var shown = readings.map { _ in 0 }
        var violations: [Violation] = []
        for event in events {
            let reading = readings[event.reading]
            switch event.what {
            case .shownToAll: if shown[event.reading] > common.state { common = (shown[event.reading], reading.number) }
            case .question: floors[event.reading] = common
            case .answer:
                let window = window(reading.from, reading.until)
                let floor = reading.isStale ? 0 : max(window.first, floors[event.reading].state)
                if let state = (floor...max(floor, window.last)).first(where: { $0 <= window.last && fits($0, reading.shows) }) {
                    if !reading.isStale { shown[event.reading] = state }
                } else {
                    violations.append(violation(reading, floor, window.last, seenBy: floors[event.reading].by))
                }
            }
        }
        return violations
    }

    private func violation(_ reading: Reading, _ floor: Int, _ last: Int, seenBy: Int?) -> Violation {
        let expected = Set((floor...max(floor, last)).map { state(min($0, writes.count)).map { "value \($0)" } ?? "nothing" }).sorted()
            .joined(separator: " or ")
        let numbers = [floor > 0 ? writes[floor - 1].number : nil, seenBy, reading.number].compactMap { $0 }
        func made(_ kind: Violation.Kind, _ what: String) -> Violation {
            Violation(kind, "\(id) shows \(what), where \(expected) must be", operations: numbers, at: reading.until)
        }
        switch reading.shows {
        case .nothing, .beyond: return made(.lostWrite, "nothing")
        case .value(nil): return made(.inventedValue, "a point without a value")
        case .value(let value?):
            guard let place = writes.firstIndex(where: { $0.value == value }), place < last else {
                return made(.inventedValue, "value \(value), which was not written to it by then")
            }
            let isGone = (floor...max(floor, last)).allSatisfy { state(min($0, writes.count)) == nil }
            return made(isGone ? .deletedReturned : .staleRead, "value \(value)")
        }
    }
}

extension Array {
    /// How many come before the first that does not hold; those that hold come first.
    fileprivate func partition(_ holds: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
