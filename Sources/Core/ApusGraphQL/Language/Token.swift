struct Token {
    var kind: Kind
    var start: Int
    var end: Int

    enum Kind: UInt8 {
        case endOfFile, bang, dollar, ampersand, openParenthesis, closeParenthesis, spread, colon, equals, at
        case openBracket, closeBracket, openBrace, pipe, closeBrace
        case name, int, float, string, blockString

        /// As error messages call it.
        var description: String {
            switch self {
            case .endOfFile: "<EOF>"
            case .bang: "\"!\""
            case .dollar: "\"$\""
            case .ampersand: "\"&\""
            case .openParenthesis: "\"(\""
            case .closeParenthesis: "\")\""
            case .spread: "\"...\""
            case .colon: "\":\""
            case .equals: "\"=\""
            case .at: "\"@\""
            case .openBracket: "\"[\""
            case .closeBracket: "\"]\""
            case .openBrace: "\"{\""
            case .pipe: "\"|\""
            case .closeBrace: "\"}\""
            case .name: "Name"
            case .int: "Int"
            case .float: "Float"
            case .string: "String"
            case .blockString: "BlockString"
            }
        }
    }
}

/// Why a text is no GraphQL, and where; becomes a `GraphQLError` at the parser's edge.
struct SyntaxProblem: Error {
    var offset: Int
    var message: String
}
