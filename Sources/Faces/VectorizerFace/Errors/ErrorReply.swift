public import ApusHTTP
public import ApusTypes

extension VectorizerFace {
    /// An error as this API's clients read it: `{"error_type", "message", "status_code", "request_id", "details"?, "code", "hint"?}`.
    public static func errorReply(_ error: ApusError, _ request: Request) -> Response {
        let status = error.code.surface.http
        var writer = JSONWriter()
        writer.object {
            $0.member("error_type", errorType(error.code))
            $0.member("message", message(error))
            $0.member("status_code", status)
            $0.member("request_id", request.id)
            $0.member("code", error.code.rawValue)
            if let hint = error.hint { $0.member("hint", hint) }
            let details = error.context.filter { ["field", "reason", "index", "expected", "actual", "shards"].contains($0.key) }
            if !details.isEmpty {
                $0.key("details")
                $0.object { for (key, value) in details.sorted(by: { $0.key < $1.key }) { $0.member(key, value) } }
            }
            // The cluster routes of the real server say it under this key.
            if [.nodeUnknown, .lastCopy, .noActiveNodes].contains(error.code) { $0.member("error", error.summary) }
        }
        return .json(writer.bytes, status: status)
    }

    static func message(_ error: ApusError) -> String {
        switch error.code {
        // Its first sentence is the real server's word for word.
        case .unauthenticated:
            "Authentication required. Provide a valid JWT token or API key. (\(error.summary)\(error.hint.map { "; " + $0 } ?? ""))"
        case .internalError where error.cause != nil: "the request failed for a reason of the server's own"
        default: error.summary
        }
    }

    static func errorType(_ code: ErrorCode) -> String {
        switch code {
        case .unauthenticated: "unauthorized"
        case .forbidden: "forbidden"
        case .requestUnparsable: "parse_error"
        case .collectionUnknown: "collection_not_found"
        case .pointUnknown: "vector_not_found"
        case .collectionExists: "collection_already_exists"
        case .vectorWrongDimension: "dimension_mismatch"
        case .shardBusy, .overloaded: "queue_full"
        case .unsupported: "unsupported"
        case .protocolInvalid: "protocol_error"
        default:
            switch code.surface.http {
            case 400: "validation_error"
            case 404: "not_found"
            case 405: "method_not_allowed"
            case 409: "conflict"
            case 413: "payload_too_large"
            case 429: "rate_limited"
            case 501: "not_implemented"
            case 503: "service_unavailable"
            default: code.surface.http < 500 ? "bad_request" : "internal_error"
            }
        }
    }
}
