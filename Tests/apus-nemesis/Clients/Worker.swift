internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import NemesisKit
internal import TestKit

/// One client behind the balancer: writes points that nobody else writes, and reads what anybody wrote.
///
/// A write is sent again under its key until it is acknowledged, as programs should. Now and then one is given up: nobody knows what
/// came of it, and its point is left alone from then on.
struct Worker {
    private struct Point {
        var id: String
        var isThere = false
    }

    let name: String
    private let client: HTTPClient
    private let url: String
    private let key: String
    private let recorder: Recorder
    private let values: ValueSpace
    private let collections: [String]
    /// It only searches: somebody must while those who write wait for the catalog.
    private let isReader: Bool
    private var random: SeededGenerator
    private var points: [String: [Point]] = [:]
    private var made = 0

    private static let pointsEach = 24
    private static let requestTime = Duration.seconds(12)
    private static let patience = Duration.seconds(60)

    init(
        _ number: Int, url: String, key: String, recorder: Recorder, values: ValueSpace, collections: [String], seed: UInt64,
        loops: EventLoops
    ) {
        name = "w\(number)"
        var limits = HTTPClientLimits()
        limits.connectTime = .seconds(2)
        client = HTTPClient(loops: loops, limits: limits)
        self.url = url
        self.key = key
        self.recorder = recorder
        self.values = values
        self.collections = collections
        isReader = number.isMultiple(of: 3)
        random = SeededGenerator(seed: seed &+ UInt64(number) &* 1_000_003)
    }

    /// Until it is cancelled; what is begun is finished.
    mutating func run() async {
        while !Task.isCancelled {
            let collection = collections[Int.random(in: 0..<collections.count, using: &random)]
            switch isReader ? 100 : Int.random(in: 0..<100, using: &random) {
            case 0..<45: await write(to: collection)
            case 45..<55: await read(from: collection)
            default: await search(collection)
            }
            try? await BootClock().sleep(for: .milliseconds(Int64.random(in: 10...60, using: &random)))  // cancelled: the loop ends
        }
    }

    /// Everything that is in a collection, as one node shows it; false where it does not.
    static func everything(
        _ collection: String, at url: String, key: String, recorder: Recorder, loops: EventLoops, values: ValueSpace
    ) async -> Bool {
        let worker = Worker(0, url: url, key: key, recorder: recorder, values: values, collections: [collection], seed: 0, loops: loops)
        return await worker.list(collection).outcome == .done
    }

    // MARK: Operations

    private mutating func write(to collection: String) async {
        var own = points[collection] ?? []
        let place: Int
        if own.count < Self.pointsEach {
            made += 1
            own.append(Point(id: "\(name)-\(made)"))
            place = own.count - 1
        } else {
            place = Int.random(in: 0..<own.count, using: &random)
        }
        let point = own[place]
        let isDeletion = point.isThere && Int.random(in: 0..<4, using: &random) == 0
        let action: Operation.Action
        let request: (method: Method, path: String, body: String?)
        if isDeletion {
            action = .delete(id: point.id)
            request = (.delete, "/collections/\(collection)/vectors/\(point.id)", nil)
        } else {
            let value = recorder.nextValue()
            let isUpdate = point.isThere && Bool.random(using: &random)
            action = isUpdate ? .update(id: point.id, value: value) : .put(id: point.id, value: value)
            let numbers = values.vector(of: value).map { "\($0)" }.joined(separator: ",")
            request = (
                .post, isUpdate ? "/update" : "/insert",
                #"{"collection":"\#(collection)","id":"\#(point.id)","vector":[\#(numbers)],"payload":{"v":\#(value)}}"#
            )
        }
        let isPatient = Int.random(in: 0..<20, using: &random) > 0
        let number = recorder.invoked(name, collection, action)
        var completion = Operation.Completion(at: BootClock.now, outcome: .unknown)
        let until = BootClock.now.advanced(by: Self.patience)
        while true {
            let (attempt, reply, _) = await send(request.method, request.path, request.body, operation: "nemesis-\(number)")
            completion.attempts.append(attempt)
            completion.at = attempt.until
            if attempt.status == 200 {
                completion.outcome = .done
                break
            }
            completion.note = reply.description
            // Who is told that a request is wrong does not repeat it. 429 and what is above 500 ask for that.
            if (400..<500).contains(attempt.status), ![408, 425, 429].contains(attempt.status) {
                completion.outcome = .refused
                break
            }
            guard isPatient, BootClock.now < until else { break }
            // Not cancelled with the worker: what it began it finishes.
            await Task { try? await BootClock().sleep(for: .milliseconds(100)) }.value
        }
        recorder.completed(number, completion)
        if completion.outcome == .done {
            own[place].isThere = !isDeletion
        } else {
            own.remove(at: place)
        }
        points[collection] = own
    }

    private mutating func read(from collection: String) async {
        guard let point = points[collection]?.randomElement(using: &random) else { return }
        let number = recorder.invoked(name, collection, .read(id: point.id))
        let (attempts, reply, isOld) = await sendReading(.get, "/collections/\(collection)/vectors/\(point.id)")
        let attempt = attempts[attempts.count - 1]
        var completion = Operation.Completion(at: attempt.until, outcome: .unknown, attempts: attempts)
        switch attempt.status {
        case 200:
            completion.outcome = .done
            completion.hits = [.init(id: point.id, value: reply["payload"]?["v"]?.asInteger.map { Int($0) }, score: 0)]
        case 404 where reply["code"] == "point.unknown": completion.outcome = .done
        case 400..<500: (completion.outcome, completion.note) = (.refused, reply.description)
        default: completion.note = reply.description
        }
        completion.isStale = isOld
        recorder.completed(number, completion)
    }

    private mutating func search(_ collection: String) async {
        guard Int.random(in: 0..<10, using: &random) > 0 else { return _ = await list(collection) }
        let query = values.vector(of: -Int.random(in: 1...1_000_000, using: &random))
        let isExact = Int.random(in: 0..<4, using: &random) > 0
        let number = recorder.invoked(name, collection, .search(query: query, limit: 10, isExact: isExact))
        let numbers = query.map { "\($0)" }.joined(separator: ",")
        var (completion, reply) = await ask(
            .post, "/collections/\(collection)/search", #"{"vector":[\#(numbers)],"limit":10,"exact":\#(isExact)}"#)
        completion.hits = Self.hits(reply["results"], payload: "metadata")
        if completion.outcome == .done {
            completion.isComplete = reply["complete"] == true
            completion.isStale = reply["stale"] == true
            if !completion.isComplete { completion.note = reply["missing"]?.description ?? "" }
        }
        recorder.completed(number, completion)
    }

    private func list(_ collection: String) async -> Operation.Completion {
        let number = recorder.invoked(name, collection, .list)
        var (completion, reply) = await ask(.post, "/collections/\(collection)/scroll", #"{"limit":5000}"#)
        completion.hits = Self.hits(reply["points"], payload: "payload")
        recorder.completed(number, completion)
        return completion
    }

    private static func hits(_ list: JSONValue?, payload: String) -> [Operation.Hit] {
        (list?.asArray ?? []).map { hit in
            .init(
                id: hit["id"]?.asString ?? "", value: hit[payload]?["v"]?.asInteger.map { Int($0) },
                score: Float(hit["score"]?.asDouble ?? 0))
        }
    }

    /// A request that only reads, and what its status says of it.
    private func ask(_ method: Method, _ path: String, _ body: String) async -> (Operation.Completion, JSONValue) {
        let (attempts, reply, isOld) = await sendReading(method, path, body)
        let attempt = attempts[attempts.count - 1]
        var completion = Operation.Completion(at: attempt.until, outcome: .done, attempts: attempts, isStale: isOld)
        if attempt.status != 200 {
            completion.outcome = (400..<500).contains(attempt.status) ? .refused : .unknown
            completion.note = reply.description
        }
        return (completion, reply)
    }

    /// A request that only reads: once more where the connection ended before a reply, as a balancer that reads its file anew ends those that it
    /// keeps. There is at least one attempt.
    private func sendReading(
        _ method: Method, _ path: String, _ body: String? = nil
    ) async -> (attempts: [Operation.Attempt], reply: JSONValue, isOld: Bool) {
        let first = await send(method, path, body)
        guard first.attempt.status == 0 else { return ([first.attempt], first.reply, first.isOld) }
        let second = await send(method, path, body)
        return ([first.attempt, second.attempt], second.reply, second.isOld)
    }

    /// One request; a failure of the connection has the status 0. It is not cancelled with the worker.
    private func send(
        _ method: Method, _ path: String, _ body: String? = nil, operation: String? = nil
    ) async -> (attempt: Operation.Attempt, reply: JSONValue, isOld: Bool) {
        var headers: Headers = ["X-API-Key": key]
        if body != nil { headers["Content-Type"] = "application/json" }
        if let operation { headers["Idempotency-Key"] = operation }
        let from = BootClock.now
        let request = ClientRequest(
            method, url + path, headers: headers, body: body.map { .bytes(Array($0.utf8)) } ?? .none,
            deadline: from.advanced(by: Self.requestTime))
        let result = await Task { [client] () -> (Int, JSONValue, Bool) in
            do {
                let response = try await client.send(request)
                let bytes = try await response.collect(limit: .mebibytes(16))
                return (
                    response.status, (try? JSONValue(parsing: bytes)) ?? .string(String(decoding: bytes.prefix(200), as: UTF8.self)),
                    response.headers["Age"] != nil
                )
            } catch { return (0, .string("\(error)"), false) }
        }.value
        return (Operation.Attempt(from: from, until: BootClock.now, status: result.0), result.1, result.2)
    }
}
