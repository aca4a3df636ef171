extension Parser {
    mutating func definition() throws(SyntaxProblem) {
        if token.kind == .openBrace { return try operation() }
        let hasDescription = token.kind == .string || token.kind == .blockString
        let keyword = hasDescription ? try lookahead() : token
        if keyword.kind == .name {
            if try typeSystemDefinition(keyword) { return }
            if hasDescription {
                throw SyntaxProblem(
                    offset: token.start, message: "Unexpected description, descriptions are supported only on type definitions.")
            }
            if isKeyword("query") || isKeyword("mutation") || isKeyword("subscription") { return try operation() }
            if isKeyword("fragment") { return try fragmentDefinition() }
            if isKeyword("extend") { return try typeSystemExtension() }
        }
        throw unexpected(keyword)
    }

    private mutating func operation() throws(SyntaxProblem) {
        let node = begin(.operationDefinition)
        if token.kind != .openBrace {
            nodes[node].flags = try operationKind()
            if token.kind == .name { try name(of: node) }
            try optionalMany(.openParenthesis, .closeParenthesis) { parser throws(SyntaxProblem) in try parser.variableDefinition() }
            try directives(isConstant: false)
        }
        try selectionSet()
        end(node)
    }

    mutating func operationKind() throws(SyntaxProblem) -> Node.Flags {
        let keyword = try expect(.name)
        if isKeyword("query", keyword) { return [] }
        if isKeyword("mutation", keyword) { return .mutation }
        if isKeyword("subscription", keyword) { return .subscription }
        throw unexpected(keyword)
    }

    private mutating func variableDefinition() throws(SyntaxProblem) {
        let node = begin(.variableDefinition)
        try variable()
        nodes[node].symbol = nodes[node + 1].symbol
        try expect(.colon)
        try type()
        if try skip(.equals) { try value(isConstant: true) }
        try directives(isConstant: true)
        end(node)
    }

    private mutating func variable() throws(SyntaxProblem) {
        let node = begin(.variable)
        try expect(.dollar)
        try name(of: node)
        end(node)
    }

    private mutating func selectionSet() throws(SyntaxProblem) {
        try nested { parser throws(SyntaxProblem) in
            let node = parser.begin(.selectionSet)
            try parser.many(.openBrace, .closeBrace) { parser throws(SyntaxProblem) in
                if parser.token.kind == .spread { try parser.fragment() } else { try parser.field() }
            }
            parser.end(node)
        }
    }

    private mutating func field() throws(SyntaxProblem) {
        let node = begin(.field)
        try name(of: node)
        if try skip(.colon) {
            nodes[node].flags = .alias
            try name(of: node)
        }
        try arguments(isConstant: false)
        try directives(isConstant: false)
        if token.kind == .openBrace { try selectionSet() }
        end(node)
    }

    private mutating func arguments(isConstant: Bool) throws(SyntaxProblem) {
        try optionalMany(.openParenthesis, .closeParenthesis) { parser throws(SyntaxProblem) in
            let node = parser.begin(.argument)
            try parser.name(of: node)
            try parser.expect(.colon)
            try parser.value(isConstant: isConstant)
            parser.end(node)
        }
    }

    /// Whether there were any.
    @discardableResult
    mutating func directives(isConstant: Bool) throws(SyntaxProblem) -> Bool {
        var hasAny = false
        while token.kind == .at {
            hasAny = true
            let node = begin(.directive)
            try advance()
            try name(of: node)
            try arguments(isConstant: isConstant)
            end(node)
        }
        return hasAny
    }

    /// A fragment spread or an inline fragment: which of them shows behind the dots.
    private mutating func fragment() throws(SyntaxProblem) {
        let node = begin(.inlineFragment)
        try expect(.spread)
        let hasCondition = try skipKeyword("on")
        if !hasCondition, token.kind == .name {
            nodes[node].kind = .fragmentSpread
            try name(of: node)
            try directives(isConstant: false)
        } else {
            if hasCondition { try namedType() }
            try directives(isConstant: false)
            try selectionSet()
        }
        end(node)
    }

    private mutating func fragmentDefinition() throws(SyntaxProblem) {
        let node = begin(.fragmentDefinition)
        try expectKeyword("fragment")
        if isKeyword("on") { throw unexpected(token) }
        try name(of: node)
        try expectKeyword("on")
        try namedType()
        try directives(isConstant: false)
        try selectionSet()
        end(node)
    }
}

// MARK: - Values and types

extension Parser {
    mutating func value(isConstant: Bool) throws(SyntaxProblem) {
        switch token.kind {
        case .int: try leaf(.intValue)
        case .float: try leaf(.floatValue)
        case .string: try leaf(.stringValue)
        case .blockString: try leaf(.stringValue, flags: .block)
        case .name:
            if isKeyword("true") { return try leaf(.booleanValue, flags: .isTrue) }
            if isKeyword("false") { return try leaf(.booleanValue) }
            if isKeyword("null") { return try leaf(.nullValue) }
            let symbol = symbols.symbol(bytes, token.start, token.end)
            let node = begin(.enumValue)
            nodes[node].symbol = symbol
            try advance()
            end(node)
        case .openBracket: try list(isConstant: isConstant)
        case .openBrace: try object(isConstant: isConstant)
        case .dollar where isConstant:
            let dollar = token
            try advance()
            guard token.kind == .name else { throw unexpected(dollar) }
            let name = String(decoding: bytes[token.start..<token.end], as: UTF8.self)
            throw SyntaxProblem(offset: dollar.start, message: "Unexpected variable \"$\(name)\" in constant value.")
        case .dollar: try variable()
        default: throw unexpected(token)
        }
    }

    private mutating func list(isConstant: Bool) throws(SyntaxProblem) {
        try nested { parser throws(SyntaxProblem) in
            let node = parser.begin(.listValue)
            try parser.advance()
            while try !parser.skip(.closeBracket) { try parser.value(isConstant: isConstant) }
            parser.end(node)
        }
    }

    private mutating func object(isConstant: Bool) throws(SyntaxProblem) {
        try nested { parser throws(SyntaxProblem) in
            let node = parser.begin(.objectValue)
            try parser.advance()
            while try !parser.skip(.closeBrace) {
                let field = parser.begin(.objectField)
                try parser.name(of: field)
                try parser.expect(.colon)
                try parser.value(isConstant: isConstant)
                parser.end(field)
            }
            parser.end(node)
        }
    }

    mutating func type() throws(SyntaxProblem) {
        let first = nodes.count
        if token.kind == .openBracket {
            try nested { parser throws(SyntaxProblem) in
                let node = parser.begin(.listType)
                try parser.advance()
                try parser.type()
                try parser.expect(.closeBracket)
                parser.end(node)
            }
        } else {
            try namedType()
        }
        guard token.kind == .bang else { return }
        // That a type is not null shows only behind it: the node moves in front of what was read.
        var wrapper = nodes[first]
        wrapper.kind = .nonNullType
        wrapper.symbol = .none
        nodes.insert(wrapper, at: first)
        for index in first + 1..<nodes.count { nodes[index].next += 1 }
        try advance()
        end(first)
    }

    mutating func namedType() throws(SyntaxProblem) {
        let node = begin(.namedType)
        try name(of: node)
        end(node)
    }
}
