internal import ApusGraphQL
internal import ApusRuntime
public import ApusTypes

/// How often a subscription's query runs: `subscription { query(interval: "1s", count: 3) { … } }`.
struct Repetition: Sendable, Hashable {
    /// From the beginning of one run to that of the next. Nil: it runs once.
    var interval: Duration?
    /// Zero: until its client has enough.
    var count: Int64

    /// A database must not be asked for nothing but the sake of asking.
    private static let least = Duration.milliseconds(100)

    init(of operation: PreparedOperation, variables: JSONObject) throws(GraphQLError) {
        let collector = operation.collector(variables: variables)
        let fields = collector.fields(of: operation.node, on: operation.root)
        guard operation.kind == .subscription, fields.count == 1, fields[0].name == "query",
            let definition = collector.definition(of: fields[0], on: operation.root)
        else {
            throw GraphQLError(
                "A subscription asks for \"query\", with the fields that are to be told again and again, or for one field that tells what happens."
            )
        }
        let arguments = try collector.arguments(of: fields[0], definition)
        count = arguments["count"]?.asInteger ?? 0
        interval = nil
        guard let given = arguments["interval"], !given.isNull else { return }
        guard let interval = given.asString.flatMap(Self.duration), interval >= Self.least, count >= 0 else {
            throw GraphQLError(
                "Argument \"interval\" must be a length of time of at least \"100ms\", such as \"5s\", and \"count\" no less than 0.")
        }
        self.interval = interval
    }

    /// `1m30s`, `500ms`, `PT5S`.
    static func duration(_ text: String) -> Duration? {
        var rest = text.uppercased()[...]
        if rest.hasPrefix("PT") { rest = rest.dropFirst(2) }
        var total = Duration.zero
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            let unit = rest.dropFirst(digits.count).prefix { $0.isLetter }
            let seconds: [Substring: Double] = ["MS": 0.001, "S": 1, "M": 60, "H": 3600]
            guard let number = Double(digits), let scale = seconds[unit], number * scale <= 86_400 else { return nil }
            total += .seconds(number * scale)
            rest = rest.dropFirst(digits.count + unit.count)
        }
        return total
    }
}

extension QueryService {
    /// Runs `tick` for each run of a subscription, or each event that it tells of, until its count is reached, the task is cancelled, or it
    /// throws. What is asked is planned anew each time: schemas and permissions change meanwhile. Throws `GraphQLErrors` for what is no
    /// subscription.
    public func repeating(
        _ request: QueryRequest, runTime: Duration = .seconds(60), _ tick: (QueryRequest) async throws -> Void
    ) async throws {
        if let events = try await events(request) {
            defer { events.close() }
            while true {
                var asked = request
                asked.isSubscription = true
                asked.event = try await events.next()
                asked.deadline = BootClock.now.advanced(by: runTime)
                try await tick(asked)
            }
        }
        let repetition = try repetition(of: request)
        var runs: Int64 = 0
        var next = BootClock.now
        let clock = BootClock()
        while true {
            var asked = request
            asked.isSubscription = true
            asked.deadline = BootClock.now.advanced(by: runTime)
            try await tick(asked)
            runs += 1
            guard let interval = repetition.interval, runs != repetition.count else { return }
            // A run that took longer than the interval is followed by the next at once, and none is made up for.
            next = max(next.advanced(by: interval), BootClock.now)
            try await clock.sleep(until: next, tolerance: nil)
        }
    }

    /// What a subscription to what happens hears, if whoever asks may hear it; nil for one that runs a query.
    private func events(_ request: QueryRequest) async throws -> (any EventStream)? {
        var asked = request
        asked.isSubscription = true
        asked.deadline = BootClock.now.advanced(by: .seconds(10))
        switch plan(asked) {
        case .reply(let reply): throw GraphQLErrors(reply.errors)
        case .execution(let execution): return try await execution.events()
        }
    }

    /// Runs `tick` once for a query or mutation, and as often as it says for a subscription.
    public func each(_ request: QueryRequest, _ tick: (QueryRequest) async throws -> Void) async throws {
        if isSubscription(request) { try await repeating(request, tick) } else { try await tick(request) }
    }

    /// False for what is no valid operation, which is told by its run.
    public func isSubscription(_ request: QueryRequest) -> Bool {
        schemas.current.flatMap { try? planned.operation(request, in: $0).kind } == .subscription
    }

    private func repetition(of request: QueryRequest) throws(GraphQLErrors) -> Repetition {
        guard let schema = schemas.current else { throw GraphQLErrors([GraphQLError("this node serves no schema yet")]) }
        let operation = try planned.operation(request, in: schema)
        let variables = try operation.variables(from: request.variables)
        do throws(GraphQLError) { return try Repetition(of: operation, variables: variables) } catch {
            throw GraphQLErrors([error])
        }
    }
}
