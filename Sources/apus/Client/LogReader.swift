internal import ApusHTTP
internal import ApusTypes

/// Reads the nodes' latest log lines through any of them, and goes on from where it has come to on each.
struct LogReader {
    struct Line: Hashable {
        var node: String
        var time: String
        var level: String
        var text: String
    }

    struct Answer {
        var lines: [Line]
        /// Who did not answer, and what was not kept.
        var notes: [String]
        var document: JSONValue
    }

    let nodes: AnyNode
    let node: String?
    var most: Int
    let since: Int64
    let word: String
    private var places: [String: (process: String, last: Int64)] = [:]
    /// Said once, until it answers again.
    private var missing: Set<String> = []

    init(nodes: AnyNode, node: String?, most: Int, since: Int64, word: String) {
        self.nodes = nodes
        self.node = node
        self.most = most
        self.since = since
        self.word = word
    }

    /// What has come since the last answer, by time. Throws as `AnyNode` does.
    mutating func next() async throws(ApusError) -> Answer {
        var items = [("tail", String(most)), ("since", String(since)), ("word", word), ("node", node ?? "")].filter { !$0.1.isEmpty }
        if !places.isEmpty {
            let after = JSONObject(
                places.sorted { $0.key < $1.key }.map { ($0.key, .array([.string($0.value.process), .integer($0.value.last)])) })
            items.append(("after", JSONValue.object(after).description))
        }
        let query = items.map { "\($0.0)=\(NodeClient.segment($0.1))" }.joined(separator: "&")
        let reply = try await nodes.get("/api/logs?\(query)", timeout: .seconds(5))
        return take(reply)
    }

    mutating func take(_ reply: JSONValue) -> Answer {
        var lines: [Line] = []
        var notes: [String] = []
        func text(_ value: JSONValue?) -> String { value?.asString ?? "" }
        for page in reply["nodes"]?.asArray ?? [] {
            let name = text(page["node"])
            missing.remove(name)
            if let missed = page["missed"]?.asInteger, missed > 0 { notes.append("\(name) did not keep \(missed) of its lines") }
            places[name] = (text(page["process"]), page["last"]?.asInteger ?? 0)
            lines += (page["lines"]?.asArray ?? []).map {
                Line(node: name, time: text($0["time"]), level: text($0["level"]), text: text($0["text"]))
            }
        }
        for absent in reply["missing"]?.asArray ?? [] where missing.insert(text(absent["node"])).inserted {
            notes.append("\(text(absent["node"])) did not answer: \(text(absent["reason"]))")
        }
        // All times are of one length and in UTC; lines of one node stay in their order.
        let sorted = lines.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
        return Answer(lines: sorted, notes: notes, document: reply)
    }
}
