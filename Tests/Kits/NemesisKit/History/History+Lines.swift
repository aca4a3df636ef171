public import ApusTypes

/// A line of a recorded run. What is written as it happens can be checked again, also after the recorder was killed.
public enum HistoryLine: Sendable, Hashable {
    case values(ValueSpace, replicas: [String: Int])
    case invoked(Operation)
    case completed(number: Int, Operation.Completion)
    case episode(Episode)
    case stall(History.Stall)
}

extension History {
    /// Throws `request.unparsable` for lines that are no run.
    public init(lines: some Sequence<HistoryLine>) throws(ApusError) {
        var history: History?
        var places: [Int: Int] = [:]
        for line in lines {
            if case .values(let values, let replicas) = line {
                history = History(values: values, replicas: replicas)
                continue
            }
            guard history != nil else { throw HistoryLine.invalid("the first line does not name the values") }
            switch line {
            case .values: break
            case .invoked(let operation):
                places[operation.number] = history!.operations.count  // checked above
                history!.operations.append(operation)
            case .completed(let number, let completion):
                guard let place = places[number] else { throw HistoryLine.invalid("operation \(number) was never invoked") }
                history!.operations[place].completion = completion
            case .episode(let episode): history!.episodes.append(episode)
            case .stall(let stall): history!.stalls.append(stall)
            }
        }
        guard let history else { throw HistoryLine.invalid("it is empty") }
        self = history
    }
}

// MARK: As JSON

extension HistoryLine {
    static func invalid(_ what: String) -> ApusError { ApusError(.requestUnparsable, "this is no recorded run: \(what)") }

    public var json: JSONValue {
        switch self {
        case .values(let values, let replicas):
            [
                "line": "values", "seed": .string(String(values.seed)), "dimension": .integer(Int64(values.dimension)),
                "replicas": .object(JSONObject(replicas.sorted { $0.key < $1.key }.map { ($0.key, .integer(Int64($0.value))) })),
            ]
        case .invoked(let operation):
            .object(
                JSONObject(
                    [
                        ("line", "invoked"), ("number", .integer(Int64(operation.number))), ("client", .string(operation.client)),
                        ("collection", .string(operation.collection)), ("at", operation.invoked.json),
                    ] + operation.action.members))
        case .completed(let number, let completion):
            [
                "line": "completed", "number": .integer(Int64(number)), "at": completion.at.json,
                "outcome": .string(completion.outcome.rawValue), "note": .string(completion.note),
                "complete": .bool(completion.isComplete), "stale": .bool(completion.isStale),
                "attempts": .array(completion.attempts.map { [$0.from.json, $0.until.json, .integer(Int64($0.status))] }),
                "hits": .array(
                    completion.hits.map { [.string($0.id), $0.value.map { .integer(Int64($0)) } ?? .null, .double(Double($0.score))] }),
            ]
        case .episode(let episode):
            [
                "line": "episode", "whole": episode.whole?.json ?? .null, "until": episode.until.json,
                "faults": .array(
                    episode.faults.map { fault in
                        [
                            "kind": .string(fault.kind.rawValue), "target": .string(fault.target), "injected": fault.injected.json,
                            "healed": fault.healed.json, "led": fault.led?.json ?? .null,
                            "noticed": fault.noticed?.json ?? .null,
                            "down": .array(fault.down.map(JSONValue.string)),
                        ]
                    }),
            ]
        case .stall(let stall): ["line": "stall", "from": stall.from.json, "until": stall.until.json]
        }
    }

    public init(_ json: JSONValue) throws(ApusError) {
        switch try json.text("line") {
        case "values":
            guard let seed = UInt64(try json.text("seed")) else { throw Self.invalid("the seed is no number") }
            let replicas = (json["replicas"]?.asObject ?? [:]).map { ($0.key, Int($0.value.asInteger ?? 1)) }
            self = .values(
                ValueSpace(seed: seed, dimension: try json.number("dimension")),
                replicas: Dictionary(replicas, uniquingKeysWith: { first, _ in first }))
        case "invoked":
            self = .invoked(
                Operation(
                    number: try json.number("number"), client: try json.text("client"), collection: try json.text("collection"),
                    action: try Operation.Action(json), invoked: try json.instant("at")))
        case "completed":
            guard let outcome = Operation.Outcome(rawValue: try json.text("outcome")) else { throw Self.invalid("an unknown outcome") }
            var completion = Operation.Completion(at: try json.instant("at"), outcome: outcome, note: try json.text("note"))
            completion.isComplete = json["complete"]?.asBool ?? true
            completion.isStale = json["stale"]?.asBool ?? false
            for attempt in json["attempts"]?.asArray ?? [] {
                guard let parts = attempt.asArray?.compactMap(\.asInteger), parts.count == 3 else { throw Self.invalid("an attempt") }
                completion.attempts.append(
                    .init(
                        from: Instant(nanosecondsSinceBoot: parts[0]), until: Instant(nanosecondsSinceBoot: parts[1]), status: Int(parts[2])
                    ))
            }
            for hit in json["hits"]?.asArray ?? [] {
                guard let parts = hit.asArray, parts.count == 3, let id = parts[0].asString, let score = parts[2].asDouble else {
                    throw Self.invalid("a hit")
                }
                completion.hits.append(.init(id: id, value: parts[1].asInteger.map { Int($0) }, score: Float(score)))
            }
            self = .completed(number: try json.number("number"), completion)
        case "episode":
            var faults: [Episode.Fault] = []
            for fault in json["faults"]?.asArray ?? [] {
                guard let kind = FaultKind(rawValue: try fault.text("kind")) else { throw Self.invalid("an unknown fault") }
                faults.append(
                    .init(
                        kind: kind, target: try fault.text("target"), injected: try fault.instant("injected"),
                        healed: try fault.instant("healed"), led: Instant(optional: fault["led"]),
                        noticed: Instant(optional: fault["noticed"]),
                        down: fault["down"]?.asArray?.compactMap(\.asString) ?? []))
            }
            self = .episode(Episode(faults: faults, whole: Instant(optional: json["whole"]), until: try json.instant("until")))
        case "stall": self = .stall(.init(from: try json.instant("from"), until: try json.instant("until")))
        case let other: throw Self.invalid("a line '\(other)'")
        }
    }
}

extension Operation.Action {
    fileprivate var members: [(String, JSONValue)] {
        switch self {
        case .put(let id, let value): [("action", "put"), ("id", .string(id)), ("value", .integer(Int64(value)))]
        case .update(let id, let value): [("action", "update"), ("id", .string(id)), ("value", .integer(Int64(value)))]
        case .delete(let id): [("action", "delete"), ("id", .string(id))]
        case .read(let id): [("action", "read"), ("id", .string(id))]
        case .list: [("action", "list")]
        case .search(let query, let limit, let isExact):
            [
                ("action", "search"), ("query", .array(query.map { .double(Double($0)) })), ("limit", .integer(Int64(limit))),
                ("exact", .bool(isExact)),
            ]
        }
    }

    fileprivate init(_ json: JSONValue) throws(ApusError) {
        switch try json.text("action") {
        case "put": self = .put(id: try json.text("id"), value: try json.number("value"))
        case "update": self = .update(id: try json.text("id"), value: try json.number("value"))
        case "delete": self = .delete(id: try json.text("id"))
        case "read": self = .read(id: try json.text("id"))
        case "list": self = .list
        case "search":
            self = .search(
                query: json["query"]?.asArray?.compactMap(\.asDouble).map { Float($0) } ?? [], limit: try json.number("limit"),
                isExact: json["exact"]?.asBool ?? false)
        case let other: throw HistoryLine.invalid("an action '\(other)'")
        }
    }
}

extension Instant {
    fileprivate var json: JSONValue { .integer(nanosecondsSinceBoot) }

    fileprivate init?(optional json: JSONValue?) {
        guard let nanoseconds = json?.asInteger else { return nil }
        self.init(nanosecondsSinceBoot: nanoseconds)
    }
}

extension JSONValue {
    fileprivate func text(_ key: String) throws(ApusError) -> String {
        guard let text = self[key]?.asString else { throw HistoryLine.invalid("no text '\(key)'") }
        return text
    }

    fileprivate func number(_ key: String) throws(ApusError) -> Int {
        guard let number = self[key]?.asInteger else { throw HistoryLine.invalid("no number '\(key)'") }
        return Int(number)
    }

    fileprivate func instant(_ key: String) throws(ApusError) -> Instant {
        guard let instant = Instant(optional: self[key]) else { throw HistoryLine.invalid("no time '\(key)'") }
        return instant
    }
}
