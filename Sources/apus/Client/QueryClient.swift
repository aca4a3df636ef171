internal import ApusHTTP
internal import ApusTypes

extension NodeClient {
    /// The `data` of a GraphQL operation. Throws the first of its errors.
    func query(_ operation: String, _ variables: JSONObject = [:]) async throws(ApusError) -> JSONValue {
        let body: JSONValue = ["query": .string(operation), "variables": .object(variables)]
        let reply = try await call(.post, "/query", body.serialized(), timeout: .seconds(60))
        if let error = reply["errors"]?.asArray?.first {
            let code = error["extensions"]?["code"]?.asString.map { ErrorCode(rawValue: $0) }
            throw ApusError(
                code.flatMap { ErrorCode.surfaces[$0] == nil ? nil : $0 } ?? .requestInvalid, error["message"]?.asString ?? "\(error)")
        }
        return reply["data"] ?? .null
    }

    /// The message of a function of `core` that says whether it was done. Throws `request.unprocessable` with it where it was not.
    func core(_ call: String, _ variables: JSONObject, declaring declarations: String) async throws(ApusError) -> String {
        let data = try await query(
            "mutation\(declarations.isEmpty ? "" : "(\(declarations))") { function { core { r: \(call) { success message } } } }", variables
        )
        let result = data["function"]?["core"]?["r"]
        let message = result?["message"]?.asString ?? ""
        guard result?["success"] == true else { throw ApusError(.requestUnprocessable, message) }
        return message
    }
}
