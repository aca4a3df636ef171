extension SourceText {
    /// The text without what GraphQL ignores (white space, commas, comments), for logs and for keys of caches. It parses to the same
    /// document. Throws what the lexer says of an invalid text.
    public func strippedOfIgnored() throws(GraphQLError) -> String {
        let result = bytes.withUnsafeBufferPointer { bytes -> Result<[UInt8], SyntaxProblem> in
            var lexer = Lexer(bytes)
            var stripped: [UInt8] = []
            var wasWord = false
            do throws(SyntaxProblem) {
                while case let token = try lexer.next(), token.kind != .endOfFile {
                    let isWord = token.kind.rawValue >= Token.Kind.name.rawValue
                    // Two words need a blank between them, and a number must not run into the dots of a spread.
                    if wasWord, isWord || token.kind == .spread { stripped.append(0x20) }
                    if token.kind == .blockString {
                        let value = BlockString.value(of: bytes, token.start + 3..<token.end - 3)
                        stripped.append(contentsOf: BlockString.printed(value, minimized: true).utf8)
                    } else {
                        stripped.append(contentsOf: bytes[token.start..<token.end])
                    }
                    wasWord = isWord
                }
            } catch {
                return .failure(error)
            }
            return .success(stripped)
        }
        switch result {
        case .success(let stripped): return String(decoding: stripped, as: UTF8.self)
        case .failure(let problem):
            throw GraphQLError("Syntax Error: \(problem.message)", locations: [location(at: problem.offset)])
        }
    }
}
