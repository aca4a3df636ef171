internal import ApusHTTP
internal import ApusRuntime
public import ApusTypes

extension ConsoleFace {
    /// The call by which nodes ask each other for lines of their logs.
    public static let logCall = "logs/1"

    /// Answers another node.
    public static func logPage(_ message: [UInt8]) throws(ApusError) -> [UInt8] {
        LogOutput.ring.read(try LogQuestion(wireBytes: message)).wireBytes
    }

    /// The latest lines of all nodes, or of one. A node that does not answer is named, with why.
    func mountLogs(on router: inout Router) {
        router.on(.get, "/api/logs") { request in
            try request.require(.administrator)
            let only = request.query["node"].map { NodeName($0) }
            let places = try Self.places(request.query["after"])
            let question = LogQuestion(
                most: try request.query.value("tail") ?? 100, since: try request.query.value("since") ?? 0,
                word: request.query["word"] ?? "")
            let answers = try await options.askNodes(
                Self.logCall,
                { node in
                    var own = question
                    if let place = places[node] { (own.process, own.after) = place }
                    return own.wireBytes
                }, only, min(request.deadline, clock.now.advanced(by: .seconds(2))))
            return .json(Self.document(answers).serialized())
        }
    }

    private static func document(_ answers: [NodeAnswer]) -> JSONValue {
        var nodes: [JSONValue] = []
        var missing: [JSONValue] = []
        for answer in answers {
            do throws(ApusError) {
                let page = try LogPage(wireBytes: try answer.result.get())
                nodes.append([
                    "node": .string(answer.node.rawValue), "process": .string(String(page.process)), "last": .integer(page.last),
                    "missed": .integer(page.missed), "lines": .array(page.entries.map(line)),
                ])
            } catch { missing.append(["node": .string(answer.node.rawValue), "reason": .string(error.summary)]) }
        }
        return ["nodes": .array(nodes), "missing": .array(missing)]
    }

    private static func line(_ entry: LogEntry) -> JSONValue {
        [
            "time": .string(entry.time), "level": .string(entry.level), "area": .string(entry.area), "message": .string(entry.message),
            "text": .string(entry.text),
            "metadata": .object(JSONObject(entry.metadata.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
        ]
    }

    /// `{"n1": ["process", last]}`: where the reader has come to on each node.
    private static func places(_ text: String?) throws(ApusError) -> [NodeName: (Int64, Int64)] {
        guard let text else { return [:] }
        guard let members = (try? JSONValue(parsing: Array(text.utf8)))?.asObject else {
            throw ApusError(.requestInvalid, "'after' is no JSON object", context: ["field": "after"])
        }
        var places: [NodeName: (Int64, Int64)] = [:]
        for (node, value) in members {
            guard let parts = value.asArray, parts.count == 2, let process = parts[0].asString.flatMap({ Int64($0) }),
                let last = parts[1].asInteger
            else { throw ApusError(.requestInvalid, "'after' has no place of \(node)", context: ["field": "after"]) }
            places[NodeName(node)] = (process, last)
        }
        return places
    }
}
