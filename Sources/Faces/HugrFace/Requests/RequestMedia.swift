internal import ApusTypes

/// How the body of a POST says what it asks.
enum RequestMedia: Hashable {
    case json
    /// The operation alone.
    case graphQL

    init(_ contentType: String?) throws {
        if contentType == "application/json" {
            self = .json
            return
        }
        let type = contentType?.prefix { $0 != ";" }.lowercased().filter { $0 != " " } ?? ""
        switch type {
        case "application/json": self = .json
        case "application/graphql": self = .graphQL
        default:
            throw ApusError(
                .requestMediaType, type.isEmpty ? "the request says no Content-Type" : "a body of type \(type) is not understood",
                hint: "application/json, or application/graphql")
        }
        // JSON is UTF-8; another character set cannot be meant.
        let parameters = contentType?.lowercased().split(separator: ";").dropFirst() ?? []
        let set = parameters.map { $0.filter { $0 != " " && $0 != "\"" } }.first { $0.hasPrefix("charset=") }
        guard set == nil || set == "charset=utf-8" else {
            throw ApusError(.requestMediaType, "a body must be UTF-8, not \(set?.dropFirst(8) ?? "")")
        }
    }
}
