extension Printer {
    func typeSystem(_ node: NodeID) -> String {
        let description = document.flags(of: node).contains(.description) ? text(NodeID(node.offset + 1)) + "\n" : ""
        let name = document.name(of: node) ?? ""
        let kind = document.kind(of: node)
        switch kind {
        case .schemaDefinition, .schemaExtension:
            let keyword = kind == .schemaExtension ? "extend schema" : "schema"
            return description + line([keyword, directives(node), members(node, .operationTypeDefinition)])
        case .operationTypeDefinition:
            return "\(document.operationKind(of: node)): \(text(document.type(of: node)))"
        case .scalarTypeDefinition, .scalarTypeExtension:
            return description + line([keyword(kind, "scalar"), name, directives(node)])
        case .objectTypeDefinition, .objectTypeExtension:
            return description
                + line([keyword(kind, "type"), name, interfaces(node), directives(node), members(node, .fieldDefinition)])
        case .interfaceTypeDefinition, .interfaceTypeExtension:
            return description
                + line([keyword(kind, "interface"), name, interfaces(node), directives(node), members(node, .fieldDefinition)])
        case .unionTypeDefinition, .unionTypeExtension:
            let types = document.children(of: node, .namedType).map(text).joined(separator: " | ")
            return description + line([keyword(kind, "union"), name, directives(node), types.isEmpty ? "" : "= " + types])
        case .enumTypeDefinition, .enumTypeExtension:
            return description + line([keyword(kind, "enum"), name, directives(node), members(node, .enumValueDefinition)])
        case .inputObjectTypeDefinition, .inputObjectTypeExtension:
            return description + line([keyword(kind, "input"), name, directives(node), members(node, .inputValueDefinition)])
        case .fieldDefinition:
            return description + line(["\(name)\(argumentDefinitions(node)): \(text(document.type(of: node)))", directives(node)])
        case .inputValueDefinition:
            let value = document.defaultValue(of: node).map { "= " + text($0) } ?? ""
            return description + line(["\(name): \(text(document.type(of: node)))", value, directives(node)])
        case .enumValueDefinition:
            return description + line([name, directives(node)])
        case .directiveDefinition:
            let repeatable = document.isTrue(node) ? " repeatable" : ""
            let locations = document.directiveLocationNames(of: node).map(text).joined(separator: " | ")
            return "\(description)directive @\(name)\(argumentDefinitions(node))\(repeatable) on \(locations)"
        default: return ""
        }
    }

    private func keyword(_ kind: NodeKind, _ word: String) -> String { kind.isTypeExtension ? "extend " + word : word }

    private func members(_ node: NodeID, _ kind: NodeKind) -> String { block(document.children(of: node, kind).map(text)) }

    private func interfaces(_ node: NodeID) -> String {
        let names = document.children(of: node, .namedType).map(text)
        return names.isEmpty ? "" : "implements " + names.joined(separator: " & ")
    }

    private func argumentDefinitions(_ node: NodeID) -> String {
        let items = document.children(of: node, .inputValueDefinition).map(text)
        guard items.contains(where: \.hasLineFeed) else { return parenthesized(items) }
        return "(\n" + indented(items.joined(separator: "\n")) + "\n)"
    }
}

extension GraphQLDocument {
    /// The names after `on` in the definition of a directive.
    func directiveLocationNames(of definition: NodeID) -> [NodeID] { Array(children(of: definition, .name).dropFirst()) }
}
