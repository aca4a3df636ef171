/// A method and a path with parameters, as the documents write them: `POST /collections/{name}/search`.
public struct CallPattern: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    public let method: String
    public let path: String

    /// Literals go into expressions as they are, so they have nothing that means something there.
    public init(stringLiteral text: String) {
        let parts = text.split(separator: " ")
        let isPlain = text.utf8.allSatisfy { isLetterOrDigit($0) || " /_-{}".utf8.contains($0) }
        precondition(isPlain && parts.count == 2 && parts[1].hasPrefix("/"), "'\(text)' is no METHOD /path")
        method = String(parts[0])
        path = String(parts[1])
    }

    public var description: String { "\(method) \(path)" }

    /// Matches the path, without anchors; a parameter is one segment.
    var expression: String {
        path.split(separator: "/", omittingEmptySubsequences: false).map { $0.hasPrefix("{") ? "[^/]+" : String($0) }
            .joined(separator: "/")
    }

    func below(_ prefix: String) -> CallPattern { CallPattern(stringLiteral: "\(method) \(prefix)\(path)") }
}
