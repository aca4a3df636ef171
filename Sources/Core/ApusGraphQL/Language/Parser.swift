/// What a text may be at most. A text beyond it is refused while it is read, in time that the limit bounds.
public struct ParserLimits: Sendable, Hashable {
    public var bytes: Int
    public var tokens: Int
    /// Of selections, lists, objects and types inside each other.
    public var depth: Int

    public init(bytes: Int, tokens: Int, depth: Int) {
        precondition(bytes < Int(Int32.max), "positions are 32 bits")
        self.bytes = bytes
        self.tokens = tokens
        self.depth = depth
    }

    /// For requests: a client's largest operations (the introspection query has some 250 tokens) many times over.
    public static let operation = ParserLimits(bytes: 1 << 20, tokens: 20_000, depth: 100)
    /// For schemas that an operator brings.
    public static let schema = ParserLimits(bytes: 64 << 20, tokens: 16_000_000, depth: 100)
}

extension GraphQLDocument {
    /// Parses operations, fragments and definitions of the type system (GraphQL, October 2021, with descriptions and `\u{…}`).
    /// Throws one error with its place; its message is what graphql-js says.
    public init(parsing text: String, limits: ParserLimits = .operation) throws(GraphQLError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    public init(parsing text: [UInt8], limits: ParserLimits = .operation) throws(GraphQLError) {
        try self.init(SourceText(text), limits: limits) { parser throws(SyntaxProblem) in try parser.document() }
    }

    /// Parses one value, below the root of the document that is made; `isConstant` refuses variables.
    public init(parsingValue text: String, isConstant: Bool = false, limits: ParserLimits = .operation) throws(GraphQLError) {
        try self.init(SourceText(text), limits: limits) { parser throws(SyntaxProblem) in
            try parser.only { parser throws(SyntaxProblem) in try parser.value(isConstant: isConstant) }
        }
    }

    /// Parses one type reference, such as `[Int!]`.
    public init(parsingType text: String, limits: ParserLimits = .operation) throws(GraphQLError) {
        try self.init(SourceText(text), limits: limits) { parser throws(SyntaxProblem) in
            try parser.only { parser throws(SyntaxProblem) in try parser.type() }
        }
    }

    private init(
        _ source: SourceText, limits: ParserLimits, _ grammar: (inout Parser) throws(SyntaxProblem) -> Void
    ) throws(GraphQLError) {
        guard source.bytes.count <= limits.bytes else {
            throw GraphQLError("Syntax Error: Document is longer than \(limits.bytes) bytes. Parsing aborted.")
        }
        let parsed = source.bytes.withUnsafeBufferPointer { bytes -> Result<([Node], [String]), SyntaxProblem> in
            var parser = Parser(bytes, limits)
            do throws(SyntaxProblem) {
                try grammar(&parser)
                return .success((parser.nodes, parser.symbols.names(bytes)))
            } catch {
                return .failure(error)
            }
        }
        switch parsed {
        case .success(let (nodes, names)): self.init(source: source, nodes: nodes, names: names)
        case .failure(let problem):
            throw GraphQLError("Syntax Error: \(problem.message)", locations: [source.location(at: problem.offset)])
        }
    }
}

/// Recursive descent with one token of look-ahead, as the grammar of the specification is written.
struct Parser {
    let bytes: UnsafeBufferPointer<UInt8>
    private let limits: ParserLimits
    private var lexer: Lexer
    private(set) var token = Token(kind: .endOfFile, start: 0, end: 0)
    /// Behind the last token that was taken: where the node that it ends, ends.
    private(set) var lastEnd = 0
    private var tokens = 0
    private var depth = 0
    var nodes: [Node] = []
    var symbols = SymbolTable()

    init(_ bytes: UnsafeBufferPointer<UInt8>, _ limits: ParserLimits) {
        self.bytes = bytes
        self.limits = limits
        lexer = Lexer(bytes)
        nodes.reserveCapacity(16 + bytes.count / 8)
    }

    mutating func document() throws(SyntaxProblem) {
        let root = begin(.document)
        try start()
        repeat { try definition() } while token.kind != .endOfFile
        end(root)
    }

    /// One thing and nothing after it.
    mutating func only(_ thing: (inout Parser) throws(SyntaxProblem) -> Void) throws(SyntaxProblem) {
        let root = begin(.document)
        try start()
        try thing(&self)
        _ = try expect(.endOfFile)
        end(root)
    }

    private mutating func start() throws(SyntaxProblem) {
        token = try lexer.next()
        tokens = token.kind == .endOfFile ? 0 : 1
    }
}

// MARK: - Tokens

extension Parser {
    mutating func advance() throws(SyntaxProblem) {
        lastEnd = token.end
        token = try lexer.next()
        guard token.kind != .endOfFile else { return }
        tokens += 1
        if tokens > limits.tokens {
            throw SyntaxProblem(offset: token.start, message: "Document contains more than \(limits.tokens) tokens. Parsing aborted.")
        }
    }

    /// The token after the present one.
    func lookahead() throws(SyntaxProblem) -> Token {
        var ahead = lexer
        return try ahead.next()
    }

    @discardableResult
    mutating func expect(_ kind: Token.Kind) throws(SyntaxProblem) -> Token {
        let found = token
        guard found.kind == kind else {
            throw SyntaxProblem(offset: found.start, message: "Expected \(kind.description), found \(described(found)).")
        }
        if kind != .endOfFile { try advance() }
        return found
    }

    mutating func skip(_ kind: Token.Kind) throws(SyntaxProblem) -> Bool {
        guard token.kind == kind else { return false }
        try advance()
        return true
    }

    func isKeyword(_ word: StaticString, _ token: Token) -> Bool {
        guard token.kind == .name, token.end - token.start == word.utf8CodeUnitCount else { return false }
        for offset in 0..<word.utf8CodeUnitCount where bytes[token.start + offset] != word.utf8Start[offset] { return false }
        return true
    }

    func isKeyword(_ word: StaticString) -> Bool { isKeyword(word, token) }

    mutating func expectKeyword(_ word: StaticString) throws(SyntaxProblem) {
        guard isKeyword(word) else {
            throw SyntaxProblem(offset: token.start, message: "Expected \"\(word)\", found \(described(token)).")
        }
        try advance()
    }

    mutating func skipKeyword(_ word: StaticString) throws(SyntaxProblem) -> Bool {
        guard isKeyword(word) else { return false }
        try advance()
        return true
    }

    func unexpected(_ token: Token) -> SyntaxProblem {
        SyntaxProblem(offset: token.start, message: "Unexpected \(described(token)).")
    }

    func described(_ token: Token) -> String {
        Self.value(of: token, bytes).map { "\(token.kind.description) \"\($0)\"" } ?? token.kind.description
    }

    /// What a name, number or string says; nil for the rest.
    static func value(of token: Token, _ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        switch token.kind {
        case .name, .int, .float: String(decoding: bytes[token.start..<token.end], as: UTF8.self)
        case .string: GraphQLDocument.unescaped(bytes, token.start + 1..<token.end - 1)
        case .blockString: BlockString.value(of: bytes, token.start + 3..<token.end - 3)
        default: nil
        }
    }

    /// `open item+ close`
    mutating func many(
        _ open: Token.Kind, _ close: Token.Kind, _ item: (inout Parser) throws(SyntaxProblem) -> Void
    ) throws(SyntaxProblem) {
        try expect(open)
        repeat { try item(&self) } while try !skip(close)
    }

    /// `(open item+ close)?`; whether it was there.
    @discardableResult
    mutating func optionalMany(
        _ open: Token.Kind, _ close: Token.Kind, _ item: (inout Parser) throws(SyntaxProblem) -> Void
    ) throws(SyntaxProblem) -> Bool {
        guard token.kind == open else { return false }
        try many(open, close, item)
        return true
    }
}

// MARK: - Nodes

extension Parser {
    mutating func begin(_ kind: NodeKind, flags: Node.Flags = []) -> Int {
        nodes.append(Node(kind: kind, flags: flags, start: Int32(truncatingIfNeeded: token.start), end: 0, next: 0))
        return nodes.count - 1
    }

    mutating func end(_ node: Int) {
        nodes[node].end = Int32(truncatingIfNeeded: lastEnd)
        nodes[node].next = Int32(truncatingIfNeeded: nodes.count)
    }

    /// A node of the present token alone.
    mutating func leaf(_ kind: NodeKind, flags: Node.Flags = []) throws(SyntaxProblem) {
        let node = begin(kind, flags: flags)
        try advance()
        end(node)
    }

    /// A name below a node, which gets its number too.
    mutating func name(of parent: Int) throws(SyntaxProblem) {
        guard token.kind == .name else { throw SyntaxProblem(offset: token.start, message: "Expected Name, found \(described(token)).") }
        let symbol = symbols.symbol(bytes, token.start, token.end)
        let node = begin(.name)
        nodes[node].symbol = symbol
        nodes[parent].symbol = symbol
        try advance()
        end(node)
    }

    /// What nests goes through here, so that no text can exhaust the stack.
    mutating func nested(_ body: (inout Parser) throws(SyntaxProblem) -> Void) throws(SyntaxProblem) {
        depth += 1
        guard depth <= limits.depth else {
            throw SyntaxProblem(offset: token.start, message: "Document is nested more than \(limits.depth) levels deep. Parsing aborted.")
        }
        try body(&self)
        depth -= 1
    }
}
