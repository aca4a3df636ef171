internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes

extension ConsoleFace {
    /// The call by which nodes ask each other for the statements that took long; with a message, to forget them first.
    public static let slowCall = "slow-statements/1"

    /// The slow statements of all nodes, or of one. A node that does not answer is named, with why.
    func mountSlow(on router: inout Router) {
        router.on(.get, "/api/slow-statements") { try await slowStatements($0, []) }
        router.on(.delete, "/api/slow-statements") { try await slowStatements($0, Array("clear".utf8)) }
    }

    private func slowStatements(_ request: Request, _ message: [UInt8]) async throws -> Response {
        try request.require(.administrator)
        let answers = try await options.askNodes(
            Self.slowCall, { _ in message }, request.query["node"].map { NodeName($0) },
            min(request.deadline, clock.now.advanced(by: .seconds(2))))
        var nodes: [JSONValue] = []
        var missing: [JSONValue] = []
        for answer in answers {
            do throws(ApusError) {
                nodes.append([
                    "node": .string(answer.node.rawValue), "statements": try JSONValue(parsing: try answer.result.get()),
                ])
            } catch {
                missing.append(["node": .string(answer.node.rawValue), "reason": .string(error.summary)])
            }
        }
        return .json(JSONValue.object(["nodes": .array(nodes), "missing": .array(missing)]).serialized())
    }
}
