extension GraphQLDocument {
    /// The document as text, laid out as graphql-js prints it: two blanks of indentation, one selection on a line.
    public func printed() -> String { printed(Self.root) }

    public func printed(_ node: NodeID) -> String { Printer(document: self).text(node) }
}

/// Prints nodes. Recursion is bounded by the depth that the parser lets pass.
struct Printer {
    let document: GraphQLDocument

    /// Longer lines of arguments are broken.
    static let longestLine = 80

    func text(_ node: NodeID) -> String {
        switch document.kind(of: node) {
        case .document: joined(document.children(of: node), "\n\n")
        case .name, .namedType, .enumValue: document.requiredName(of: node)
        case .variable: "$" + document.requiredName(of: node)
        case .intValue, .floatValue: document.sourceText(of: node)
        case .stringValue:
            document.flags(of: node).contains(.block) ? BlockString.printed(document.string(of: node)) : quoted(document.string(of: node))
        case .booleanValue: document.isTrue(node) ? "true" : "false"
        case .nullValue: "null"
        case .listValue: "[" + joined(document.children(of: node), ", ") + "]"
        case .objectValue: "{" + joined(document.children(of: node), ", ") + "}"
        case .objectField, .argument: document.requiredName(of: node) + ": " + text(document.value(of: node))
        case .listType: "[" + text(document.type(of: node)) + "]"
        case .nonNullType: text(document.type(of: node)) + "!"
        case .directive: "@" + document.requiredName(of: node) + parenthesized(document.arguments(of: node).map(text))
        case .operationDefinition: operation(node)
        case .variableDefinition: variableDefinition(node)
        case .selectionSet: block(document.children(of: node).map(text))
        case .field: field(node)
        case .fragmentSpread: line(["..." + document.requiredName(of: node), directives(node)])
        case .inlineFragment:
            line([
                "...", document.typeCondition(of: node).map { "on " + text($0) } ?? "", directives(node), selections(node),
            ])
        case .fragmentDefinition:
            line([
                "fragment", document.requiredName(of: node), "on", document.typeCondition(of: node).map(text) ?? "", directives(node),
                selections(node),
            ])
        default: typeSystem(node)
        }
    }

    // MARK: Operations

    private func operation(_ node: NodeID) -> String {
        let variables = parenthesized(document.children(of: node, .variableDefinition).map(text))
        let head = line([
            document.operationKind(of: node).description, document.name(of: node).map { $0 + variables } ?? variables, directives(node),
        ])
        // The short form.
        return head == "query" ? selections(node) : line([head, selections(node)])
    }

    private func variableDefinition(_ node: NodeID) -> String {
        var text = "$\(document.requiredName(of: node)): \(text(document.type(of: node)))"
        if let value = document.defaultValue(of: node) { text += " = " + self.text(value) }
        return line([text, directives(node)])
    }

    private func field(_ node: NodeID) -> String {
        let name = document.requiredName(of: node)
        let head = document.flags(of: node).contains(.alias) ? "\(document.responseKey(of: node)): \(name)" : name
        let arguments = document.arguments(of: node).map(text)
        var call = head + parenthesized(arguments)
        if !arguments.isEmpty, call.unicodeScalars.count > Self.longestLine {
            call = head + "(\n" + indented(arguments.joined(separator: "\n")) + "\n)"
        }
        return line([call, directives(node), selections(node)])
    }

    private func selections(_ node: NodeID) -> String { document.selectionSet(of: node).map(text) ?? "" }

    // MARK: Pieces

    func directives(_ node: NodeID) -> String { document.directives(of: node).map(text).joined(separator: " ") }

    private func joined(_ nodes: some Sequence<NodeID>, _ separator: String) -> String { nodes.map(text).joined(separator: separator) }

    /// The parts that are not empty, with a blank between them.
    func line(_ parts: [String]) -> String { parts.filter { !$0.isEmpty }.joined(separator: " ") }

    func parenthesized(_ items: [String]) -> String { items.isEmpty ? "" : "(" + items.joined(separator: ", ") + ")" }

    func block(_ items: [String]) -> String { items.isEmpty ? "" : "{\n" + indented(items.joined(separator: "\n")) + "\n}" }

    func indented(_ text: String) -> String { "  " + text.replacingLineFeeds(with: "\n  ") }

    func quoted(_ text: String) -> String { Self.quoted(text) }

    /// A string literal: control characters, quotes and backslashes escaped.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{8}": result += "\\b"
            case "\t": result += "\\t"
            case "\n": result += "\\n"
            case "\u{C}": result += "\\f"
            case "\r": result += "\\r"
            case "\0"..."\u{1F}", "\u{7F}"..."\u{9F}":
                let digits = String(scalar.value, radix: 16, uppercase: true)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension String {
    /// By bytes: to Swift "\r\n" is one character, which holds no "\n".
    func replacingLineFeeds(with replacement: String) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(utf8.count)
        for byte in utf8 {
            if byte == .lineFeed { bytes.append(contentsOf: replacement.utf8) } else { bytes.append(byte) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    var hasLineFeed: Bool { utf8.contains(.lineFeed) }
}
