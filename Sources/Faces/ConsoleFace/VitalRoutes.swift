internal import ApusHTTP
public import ApusRuntime
internal import ApusTypes

/// What a node has done since it started: what rates are made of.
struct Vitals: WireValue {
    var requests: Int
    /// Of those, answered with a status of 500 and above.
    var failures: Int
    /// Calls that it answered other nodes.
    var calls: Int

    init(_ registry: MetricsRegistry) {
        requests = registry.total("apus_http_requests_total") { _ in true }
        failures = registry.total("apus_http_requests_total") { $0.contains { $0.count == 3 && $0.hasPrefix("5") } }
        calls = registry.total("apus_rpc_requests_total") { _ in true }
    }

    func write(to writer: inout WireWriter) { writer.write(requests, failures, calls) }

    init(from reader: inout WireReader) throws(ApusError) {
        requests = try reader.read()
        failures = try reader.read()
        calls = try reader.read()
    }
}

extension ConsoleFace {
    /// The call by which nodes ask each other for what they have done.
    public static let vitalsCall = "vitals/1"

    /// Answers another node.
    public static func vitals(_ registry: MetricsRegistry) -> [UInt8] { Vitals(registry).wireBytes }

    func mountVitals(on router: inout Router) {
        router.on(.get, "/api/vitals") { request in
            try request.require(.reader)
            let answers = try await options.askNodes(
                Self.vitalsCall, { _ in [] }, nil, min(request.deadline, clock.now.advanced(by: .milliseconds(500))))
            let nodes = answers.map { answer -> JSONValue in
                do throws(ApusError) {
                    let vitals = try Vitals(wireBytes: try answer.result.get())
                    return [
                        "node": .string(answer.node.rawValue), "requests_total": .integer(Int64(vitals.requests)),
                        "failures_total": .integer(Int64(vitals.failures)), "peer_calls_total": .integer(Int64(vitals.calls)),
                    ]
                } catch { return ["node": .string(answer.node.rawValue), "problem": .string(error.summary)] }
            }
            return .json(JSONValue.object(["nodes": .array(nodes)]).serialized())
        }
    }
}
