internal import ApusTypes

/// One thing that the doctor looked at.
struct Finding: Sendable {
    enum Verdict: String, Sendable {
        case good = "ok"
        /// Works, and would work better.
        case advice
        case bad
    }

    var verdict: Verdict
    var text: String
    /// What to do about it.
    var remedy: String?

    static func good(_ text: String) -> Finding { Finding(verdict: .good, text: text) }
    static func advice(_ text: String, try remedy: String) -> Finding { Finding(verdict: .advice, text: text, remedy: remedy) }
    static func bad(_ text: String, try remedy: String?) -> Finding { Finding(verdict: .bad, text: text, remedy: remedy) }

    /// The finding that an error is.
    init(_ error: any Error, doing what: String) {
        let known = error as? ApusError
        self.init(verdict: .bad, text: "\(what): \(known?.summary ?? "\(error)")", remedy: known?.hint)
    }

    init(verdict: Verdict, text: String, remedy: String? = nil) {
        self.verdict = verdict
        self.text = text
        self.remedy = remedy
    }
}

/// What can be examined, in the order of the report.
enum Examination: String, CaseIterable, Sendable {
    case machine, data, catalog, store, ports, cluster
}
