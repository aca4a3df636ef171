public import ApusTypes

/// Runs a jq program over JSON, with variables; tells the result as JSON. Throws `request.invalid` where the program is wrong or fails, with
/// what jq says.
public typealias JSONTransform =
    @Sendable (
        _ program: String, _ input: [UInt8], _ variables: JSONObject, _ deadline: Instant
    ) async throws -> [UInt8]
