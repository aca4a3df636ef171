internal import ApusGraphQL
public import ApusHTTP
public import ApusTypes

extension HugrFace {
    /// What answers an error outside of GraphQL: who asks is not known, the body is too large, there is no such path.
    public static func errorReply(_ error: ApusError, _ request: Request) -> Response {
        let status = error.code.surface.http
        // Its client tells people apart who have no key and people who may not.
        if status == 401 {
            var response = Response.text("unauthorized\n", status: 401)
            // The reason helps whoever has a credential, and says nothing of anybody else's (RFC 6750, 3).
            let reason = error.context["reason"].map { ", error=\"invalid_token\", error_description=\"\($0)\"" }
            response.headers["WWW-Authenticate"] = "Bearer realm=\"apus\"" + (reason ?? "")
            return response
        }
        var writer = JSONWriter()
        writer.object {
            $0.key("errors")
            $0.array { writer in
                let told =
                    status == 403
                    ? GraphQLError("forbidden")
                    : GraphQLError(error.summary, extensions: ["code": .string(error.code.rawValue)])
                told.write(to: &writer)
            }
        }
        return .json(writer.bytes, status: status)
    }
}
