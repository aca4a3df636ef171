import ApusMembership
import ApusTypes
import Testing

/// Drives a `LeaseMachine` by lines of text, and answers each with one line: what it does next, and the epoch that is held.
///
///     0.0 row free 0 1             the row has no holder, epoch 0, 1 renewal (`expired` or the holder's name instead of `free`)
///     0.0 took 1 | took -          the answer to a take (sent at the time of the line before it)
///     1.0 renewed yes | renewed no | failed
///     2.0                          nothing happened
///     history B                    the catalog has another incarnation from now on
struct LeaseScript {
    private var machine: LeaseMachine
    private var history = "A"

    init(holder: String = "me", terms: LeaseTerms = LeaseTerms()) { machine = LeaseMachine(holder: holder, terms: terms) }

    /// Every line of `script` with its answer after `=>`.
    mutating func run(_ script: String) -> String {
        script.split(separator: "\n").map { line in
            let command = line.split(separator: "=>")[0]
            let words = command.split(separator: " ").map(String.init)
            let start = command.trimmingSuffix { $0 == " " }
            guard words[0] != "history" else {
                history = words[1]
                return String(start)
            }
            let now = Self.instant(words[0])
            apply(Array(words.dropFirst()), at: now)
            let held = machine.held(at: now).map { " holding \($0)" } ?? ""
            return "\(start) => \(describe(machine.action(at: now)))\(held)"
        }.joined(separator: "\n")
    }

    /// `1.0 took 1` is the answer, at once, to what was sent at 1.0; `1.0..7.0 renewed yes` arrives 6 s after it was sent.
    private mutating func apply(_ words: [String], at now: Instant) {
        switch words.first {
        case "row":
            let holder = words[1] == "free" ? nil : words[1] == "expired" ? "other" : words[1]
            machine.observed(
                LeaseObservation(
                    holder: holder, epoch: Epoch(Int64(words[2]) ?? 0), renewals: Int64(words[3]) ?? 0, isExpired: words[1] == "expired",
                    history: history), sent: sent ?? now, received: now)
        case "took": machine.took(Int64(words[1]).map(Epoch.init), sent: sent ?? now)
        case "renewed": machine.renewed(words[1] == "yes", sent: sent ?? now)
        case "failed": machine.failed(sent: sent ?? now)
        case "sent":
            sent = now
            return
        default: return
        }
        sent = nil
    }

    private var sent: Instant?

    private func describe(_ action: LeaseMachine.Action) -> String {
        switch action {
        case .sleep(let until): "sleep until \(Self.text(until))"
        case .observe: "observe"
        case .take(let row): "take after \(row.epoch)"
        case .renew(let epoch): "renew \(epoch)"
        }
    }

    private static func instant(_ text: String) -> Instant { Instant(nanosecondsSinceBoot: Int64((Double(text) ?? 0) * 1000) * 1_000_000) }
    private static func text(_ instant: Instant) -> String { "\(Double(instant.nanosecondsSinceBoot / 1_000_000) / 1000)" }
}

extension Substring {
    fileprivate func trimmingSuffix(_ isDropped: (Character) -> Bool) -> Substring {
        var text = self
        while let last = text.last, isDropped(last) { text.removeLast() }
        return text
    }
}
