public import ApusTypes

/// Runs a jq program over a value, with variables.
public typealias JSONTransform =
    @Sendable (
        _ program: String, _ input: JSONValue, _ variables: JSONObject, _ deadline: Instant
    ) async throws -> JSONValue
