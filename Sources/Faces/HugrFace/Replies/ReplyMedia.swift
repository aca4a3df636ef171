internal import ApusHTTP
internal import ApusQuery
internal import ApusTypes

/// The two forms of an answer.
enum ReplyMedia: Hashable {
    /// As Hugr's clients read it, and those from before the specification: what is no answer has status 200 and `errors`.
    case json
    /// The same for a client that names it, which is owed 200 even for what is no JSON.
    case askedJSON
    /// The specification's own: statuses say what came of the request.
    case graphQLResponse

    init(accepting accept: String?) throws {
        guard let accept, accept != "*/*" else {
            self = .json
            return
        }
        var best: (media: ReplyMedia, weight: Double)?
        for part in accept.split(separator: ",") {
            let pieces = part.split(separator: ";").map { $0.filter { $0 != " " }.lowercased() }
            let media: ReplyMedia
            switch pieces.first ?? "" {
            case "application/graphql-response+json": media = .graphQLResponse
            case "application/json": media = .askedJSON
            case "*/*", "application/*": media = .json
            default: continue
            }
            let weight = pieces.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            guard weight > 0 else { continue }
            // What is named counts before what any would do for, and the specification's own before the older one.
            let isBetter = best.map { weight > $0.weight || (weight == $0.weight && media.rank > $0.media.rank) } ?? true
            if isBetter { best = (media, weight) }
        }
        guard let best else {
            throw ApusError(
                .notAcceptable, "there is no answer of a type that the request accepts",
                hint: "application/graphql-response+json, or application/json")
        }
        self = best.media
    }

    private var rank: Int {
        switch self {
        case .json: 0
        case .askedJSON: 1
        case .graphQLResponse: 2
        }
    }

    func response(to reply: QueryReply, isGet: Bool, isUnreadable: Bool) -> Response {
        let bytes = reply.json(tellsNull: self == .graphQLResponse)
        var response = Response(
            status: status(of: reply, isGet: isGet, isUnreadable: isUnreadable),
            type: self == .graphQLResponse ? "application/graphql-response+json; charset=utf-8" : "application/json; charset=utf-8",
            bytes: bytes)
        if response.status == 405 { response.headers["Allow"] = "POST" }
        if response.status == 429 { response.headers["Retry-After"] = "1" }
        return response
    }

    private func status(of reply: QueryReply, isGet: Bool, isUnreadable: Bool) -> Int {
        switch reply.outcome {
        case .forbidden where isGet: 405
        case .refused, .forbidden: self == .graphQLResponse || isUnreadable && self == .json ? 400 : 200
        case .limited: 429
        case .answered, .failed: 200
        }
    }
}
