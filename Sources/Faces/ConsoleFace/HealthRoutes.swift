public import ApusHTTP
internal import ApusRuntime
internal import ApusTypes

extension ConsoleFace {
    /// `/health/live` and `/health/ready[?role=read|write|worker|manager]`, for everybody.
    ///
    /// Live: this process answers. Ready: it should be sent work; 503 names each reason with its code. Nothing latches.
    public func mountHealth(on router: inout Router) {
        router.on(.get, "/health/live") { _ in .json(JSONValue.object(["status": "live"]).serialized()) }
        router.on(.get, "/health/ready") { request in
            let readiness = health.readiness(for: try Self.abilities(request.query["role"]))
            var writer = JSONWriter()
            writer.object {
                $0.member("status", readiness.isReady ? "ready" : "unready")
                Self.write(readiness.problems, to: &$0)
            }
            return .json(writer.bytes, status: readiness.isReady ? 200 : 503)
        }
    }

    /// What a role must be able to do. A manager serves the management API, which the catalog's readers can ask too.
    private static func abilities(_ role: String?) throws(ApusError) -> Set<Health.Ability> {
        switch role {
        case nil, "worker": return Set(Health.Ability.allCases)
        case "read", "manager": return [.read]
        case "write": return [.write]
        default:
            throw ApusError(
                .requestInvalid, "there is no such role", hint: "read, write, worker and manager can be asked for",
                context: ["field": "role"])
        }
    }

    /// `problems`: one for each "no", or what is worth saying although nothing is taken away.
    static func write(_ problems: [Health.Problem], to writer: inout JSONWriter) {
        writer.key("problems")
        writer.array {
            for problem in problems {
                $0.object {
                    $0.member("component", problem.component)
                    $0.member("code", problem.code.rawValue)
                    $0.member("problem", problem.summary)
                    if let hint = problem.hint { $0.member("hint", hint) }
                    $0.member("blocks", .array(problem.blocks.map(\.rawValue).sorted().map(JSONValue.string)))
                }
            }
        }
    }
}
