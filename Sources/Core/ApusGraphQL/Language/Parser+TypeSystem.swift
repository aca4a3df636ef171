extension Parser {
    /// Whether `keyword` begins one; it may stand behind a description.
    mutating func typeSystemDefinition(_ keyword: Token) throws(SyntaxProblem) -> Bool {
        if isKeyword("type", keyword) { return try definition(.objectTypeDefinition) }
        if isKeyword("input", keyword) { return try definition(.inputObjectTypeDefinition) }
        if isKeyword("enum", keyword) { return try definition(.enumTypeDefinition) }
        if isKeyword("scalar", keyword) { return try definition(.scalarTypeDefinition) }
        if isKeyword("interface", keyword) { return try definition(.interfaceTypeDefinition) }
        if isKeyword("union", keyword) { return try definition(.unionTypeDefinition) }
        if isKeyword("directive", keyword) { return try directiveDefinition() }
        if isKeyword("schema", keyword) { return try schemaDefinition() }
        return false
    }

    private mutating func definition(_ kind: NodeKind) throws(SyntaxProblem) -> Bool {
        let node = begin(kind)
        try description(of: node)
        try advance()
        _ = try typeBody(node, kind)
        end(node)
        return true
    }

    /// What follows a type's keyword; whether there was more than a name.
    private mutating func typeBody(_ node: Int, _ kind: NodeKind) throws(SyntaxProblem) -> Bool {
        try name(of: node)
        let start = nodes.count
        if kind == .objectTypeDefinition || kind == .interfaceTypeDefinition, try skipKeyword("implements") {
            try delimited(.ampersand) { parser throws(SyntaxProblem) in try parser.namedType() }
        }
        try directives(isConstant: true)
        switch kind {
        case .objectTypeDefinition, .interfaceTypeDefinition:
            try optionalMany(.openBrace, .closeBrace) { parser throws(SyntaxProblem) in try parser.fieldDefinition() }
        case .inputObjectTypeDefinition:
            try optionalMany(.openBrace, .closeBrace) { parser throws(SyntaxProblem) in try parser.inputValueDefinition() }
        case .enumTypeDefinition:
            try optionalMany(.openBrace, .closeBrace) { parser throws(SyntaxProblem) in try parser.enumValueDefinition() }
        case .unionTypeDefinition:
            if try skip(.equals) { try delimited(.pipe) { parser throws(SyntaxProblem) in try parser.namedType() } }
        default: break
        }
        return nodes.count > start
    }

    private mutating func description(of node: Int) throws(SyntaxProblem) {
        guard token.kind == .string || token.kind == .blockString else { return }
        nodes[node].flags.insert(.description)
        try leaf(.stringValue, flags: token.kind == .blockString ? .block : [])
    }

    private mutating func delimited(
        _ delimiter: Token.Kind, _ item: (inout Parser) throws(SyntaxProblem) -> Void
    ) throws(SyntaxProblem) {
        _ = try skip(delimiter)
        repeat { try item(&self) } while try skip(delimiter)
    }

    private mutating func fieldDefinition() throws(SyntaxProblem) {
        let node = begin(.fieldDefinition)
        try description(of: node)
        try name(of: node)
        try argumentDefinitions()
        try expect(.colon)
        try type()
        try directives(isConstant: true)
        end(node)
    }

    private mutating func argumentDefinitions() throws(SyntaxProblem) {
        try optionalMany(.openParenthesis, .closeParenthesis) { parser throws(SyntaxProblem) in try parser.inputValueDefinition() }
    }

    private mutating func inputValueDefinition() throws(SyntaxProblem) {
        let node = begin(.inputValueDefinition)
        try description(of: node)
        try name(of: node)
        try expect(.colon)
        try type()
        if try skip(.equals) { try value(isConstant: true) }
        try directives(isConstant: true)
        end(node)
    }

    private mutating func enumValueDefinition() throws(SyntaxProblem) {
        let node = begin(.enumValueDefinition)
        try description(of: node)
        if isKeyword("true") || isKeyword("false") || isKeyword("null") {
            throw SyntaxProblem(
                offset: token.start, message: "\(described(token)) is reserved and cannot be used for an enum value.")
        }
        try name(of: node)
        try directives(isConstant: true)
        end(node)
    }

    private mutating func schemaDefinition() throws(SyntaxProblem) -> Bool {
        let node = begin(.schemaDefinition)
        try description(of: node)
        try advance()
        try directives(isConstant: true)
        try many(.openBrace, .closeBrace) { parser throws(SyntaxProblem) in try parser.operationTypeDefinition() }
        end(node)
        return true
    }

    private mutating func operationTypeDefinition() throws(SyntaxProblem) {
        let node = begin(.operationTypeDefinition)
        nodes[node].flags = try operationKind()
        try expect(.colon)
        try namedType()
        end(node)
    }

    private mutating func directiveDefinition() throws(SyntaxProblem) -> Bool {
        let node = begin(.directiveDefinition)
        try description(of: node)
        try advance()
        try expect(.at)
        try name(of: node)
        let symbol = nodes[node].symbol
        try argumentDefinitions()
        if try skipKeyword("repeatable") { nodes[node].flags.insert(.isTrue) }
        try expectKeyword("on")
        try delimited(.pipe) { parser throws(SyntaxProblem) in
            let location = parser.token
            try parser.name(of: node)
            let text = String(decoding: parser.bytes[location.start..<location.end], as: UTF8.self)
            guard DirectiveLocation(rawValue: text) != nil else { throw parser.unexpected(location) }
        }
        // The locations' names are below the definition; its own name is the first.
        nodes[node].symbol = symbol
        end(node)
        return true
    }

    mutating func typeSystemExtension() throws(SyntaxProblem) {
        let keyword = try lookahead()
        let (kind, body): (NodeKind, NodeKind) =
            if isKeyword("type", keyword) {
                (.objectTypeExtension, .objectTypeDefinition)
            } else if isKeyword("input", keyword) {
                (.inputObjectTypeExtension, .inputObjectTypeDefinition)
            } else if isKeyword("enum", keyword) {
                (.enumTypeExtension, .enumTypeDefinition)
            } else if isKeyword("scalar", keyword) {
                (.scalarTypeExtension, .scalarTypeDefinition)
            } else if isKeyword("interface", keyword) {
                (.interfaceTypeExtension, .interfaceTypeDefinition)
            } else if isKeyword("union", keyword) {
                (.unionTypeExtension, .unionTypeDefinition)
            } else if isKeyword("schema", keyword) {
                (.schemaExtension, .schemaDefinition)
            } else {
                throw unexpected(keyword)
            }
        let node = begin(kind)
        try advance()
        try advance()
        let hasContent: Bool
        if kind == .schemaExtension {
            let hasDirectives = try directives(isConstant: true)
            let hasTypes = try optionalMany(.openBrace, .closeBrace) { parser throws(SyntaxProblem) in
                try parser.operationTypeDefinition()
            }
            hasContent = hasDirectives || hasTypes
        } else {
            hasContent = try typeBody(node, body)
        }
        guard hasContent else { throw unexpected(token) }
        end(node)
    }
}
