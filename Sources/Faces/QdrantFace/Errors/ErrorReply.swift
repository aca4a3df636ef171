public import ApusHTTP
internal import ApusRuntime
public import ApusTypes

extension QdrantFace {
    /// An error as this API's clients read it: `{"status": {"error": "…"}, "time": 0.0}`, with the server's words.
    public static func errorReply(_ error: ApusError, _ request: Request) -> Response {
        var writer = JSONWriter()
        writer.object {
            $0.key("status")
            $0.object { $0.member("error", text(error)) }
            $0.member("time", 0.0)
        }
        return .json(writer.bytes, status: error.code.surface.http)
    }

    static func text(_ error: ApusError) -> String {
        let context = error.context
        switch error.code {
        case .collectionUnknown: return "Not found: Collection `\(context["collection"] ?? "")` doesn't exist!"
        case .collectionExists: return "Wrong input: Collection `\(context["collection"] ?? "")` already exists!"
        case .aliasUnknown: return "Not found: Alias \(context["alias"] ?? "") does not exists!"
        case .pointUnknown: return "Not found: No point with id \(context["id"] ?? "") found"
        case .snapshotUnknown: return "Not found: Snapshot \(context["snapshot"] ?? "") not found"
        case .vectorUnknownField: return "Wrong input: Not existing vector name error: \(context["field"] ?? "")"
        case .vectorWrongDimension:
            return "Wrong input: Vector dimension error: expected dim: \(context["expected"] ?? "?"), got \(context["actual"] ?? "?")"
        case .requestUnparsable: return "Format error in JSON body: \(error.summary)"
        case .requestUnprocessable: return error.summary
        case .requestInvalid, .vectorInvalid, .snapshotCorrupt:
            // Those of this face are worded already.
            return context["worded"] == nil ? "Wrong input: \(error.summary)" : error.summary
        case .requestTooLarge: return "Payload error: \(error.summary)"
        case .unauthenticated: return "Must provide an API key or an Authorization bearer token (\(error.summary))"
        case .forbidden: return "Forbidden: \(error.summary)"
        case .internalError where error.cause != nil: return "Service internal error: the request failed for a reason of the server's own"
        default:
            switch error.code.surface.http {
            case 404: return "Not found: \(error.summary)"
            case 429: return "Rate limiting exceeded: \(error.summary)"
            case 507: return "Insufficient storage: \(error.summary)"
            case 500: return "Service internal error: \(error.summary)"
            case 503: return "Service unavailable: \(error.summary)"
            default: return error.summary
            }
        }
    }
}

extension ApusError {
    private static func worded(_ code: ErrorCode, _ text: String, _ field: String) -> ApusError {
        ApusError(code, text, context: ["field": field, "worded": ""])
    }

    /// 400: a body, or a part of it, of another form.
    static func format(_ path: String, _ reason: String) -> ApusError {
        worded(.requestInvalid, "Format error in JSON body: \(path.isEmpty ? "" : path + ": ")\(reason)", path)
    }

    /// 422: the right form, with a value out of its bounds.
    static func validation(_ path: String, _ reason: String) -> ApusError {
        worded(.requestUnprocessable, "Validation error in JSON body: [\(path): \(reason)]", path)
    }

    static func invalidPath(_ name: String, _ reason: String) -> ApusError {
        worded(.requestUnprocessable, "Validation error in path parameters: [\(name): \(reason)]", name)
    }

    static func query(_ name: String, _ reason: String) -> ApusError {
        worded(.requestInvalid, "Deserialize error in query parameters: \(name): \(reason)", name)
    }

    static func invalidQuery(_ name: String, _ reason: String) -> ApusError {
        worded(.requestUnprocessable, "Validation error in query parameters: [\(name): \(reason)]", name)
    }

    /// 400: understood, and not possible.
    static func wrong(_ text: String, _ field: String = "") -> ApusError { worded(.requestInvalid, "Wrong input: \(text)", field) }
}
