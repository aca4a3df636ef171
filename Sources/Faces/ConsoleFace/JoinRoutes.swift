internal import ApusCluster
internal import ApusHTTP
internal import ApusMembership
internal import ApusTypes

extension ConsoleFace {
    private static let tokenLives = 1...Int(Cluster.longestTokenLife.seconds)

    /// How machines become nodes: an administrator makes a token, and the machine shows that it has it.
    func mountJoining(on router: inout Router) {
        router.on(.post, "/api/join/tokens") { request in
            try request.require(.administrator)
            let body = try JSONValue(parsing: await request.body.collect(limit: options.maxBody))
            guard let life = body["life_seconds"]?.asInteger, Self.tokenLives.contains(Int(clamping: life)) else {
                throw ApusError(
                    .requestInvalid,
                    "'life_seconds' must be \(Self.tokenLives.lowerBound) to \(Self.tokenLives.upperBound)",
                    context: ["field": "life_seconds"])
            }
            let token = try await cluster.joinToken(life: .seconds(life), deadline: request.deadline)
            return .json(
                JSONValue.object(["id": .string(token.id), "token": .string(token.text), "expires": .string(token.expires.description)])
                    .serialized(), status: 201)
        }
        // The proof in the body is the credential: whoever joins has no key yet.
        router.on(.post, "/api/join") { request in
            let body = try JSONValue(parsing: await request.body.collect(limit: .kibibytes(4)))
            guard let question = JoinRequest(body) else {
                throw ApusError(.requestInvalid, "this is no request to join", hint: "apus join TOKEN makes one")
            }
            let sealed = try await cluster.welcome(question, deadline: request.deadline)
            return .json(JSONValue.object(["sealed": .string(hexadecimal(sealed))]).serialized())
        }
    }
}
