extension SourceText {
    /// A token as error messages name it: for tools that show how a text is read.
    public struct TokenView: Sendable, Hashable {
        public var kind: String
        public var range: Range<Int>
        /// Of names, numbers and strings.
        public var value: String?
    }

    /// The tokens of the text, and the error that ended them.
    public func tokens() -> (tokens: [TokenView], error: GraphQLError?) {
        bytes.withUnsafeBufferPointer { bytes in
            var lexer = Lexer(bytes)
            var tokens: [TokenView] = []
            do throws(SyntaxProblem) {
                while case let token = try lexer.next(), token.kind != .endOfFile {
                    tokens.append(
                        TokenView(kind: token.kind.description, range: token.start..<token.end, value: Parser.value(of: token, bytes)))
                }
            } catch {
                return (tokens, GraphQLError("Syntax Error: \(error.message)", locations: [location(at: error.offset)]))
            }
            return (tokens, nil)
        }
    }
}
