import ApusTypes

extension GraphQLSchema {
    /// The schema as text, laid out as graphql-js prints it: without the types and directives of the specification, and without applied
    /// directives except `@deprecated` and `@specifiedBy`, unless `directives` asks for them.
    public func printed(directives: Bool = false) -> String {
        SchemaPrinter(schema: self, includesDirectives: directives).text(
            directives: { !$0.isSpecified }, types: { !$0.isSpecifiedScalar && !$0.isIntrospection })
    }

    /// What every schema has by the specification.
    public func printedIntrospection() -> String {
        SchemaPrinter(schema: self, includesDirectives: false).text(directives: \.isSpecified, types: \.isIntrospection)
    }

    public func printed(_ type: NamedType) -> String { SchemaPrinter(schema: self, includesDirectives: false).type(type) }
}

struct SchemaPrinter {
    let schema: GraphQLSchema
    let includesDirectives: Bool

    func text(directives: (DirectiveDefinition) -> Bool, types: (NamedType) -> Bool) -> String {
        let parts =
            [schemaDefinition()].compactMap { $0 } + schema.directives.filter(directives).map(directive)
            + schema.types.filter(types).map(type)
        return parts.joined(separator: "\n\n")
    }

    /// Nil where the usual names say it all.
    private func schemaDefinition() -> String? {
        let names: [OperationKind: String] = [.query: "Query", .mutation: "Mutation", .subscription: "Subscription"]
        let roots = OperationKind.allCases.compactMap { kind in schema.rootType(kind).map { (kind, $0.name) } }
        let applied = self.applied(schema)
        if schema.description == nil, applied.isEmpty, roots.allSatisfy({ names[$0.0] == $0.1 }) { return nil }
        let lines = roots.map { "  \($0.0): \($0.1)" }.joined(separator: "\n")
        return description(schema.description) + "schema\(applied) {\n\(lines)\n}"
    }

    func type(_ type: NamedType) -> String {
        let head = description(type.description)
        let applied = self.applied(type)
        switch type.kind {
        case .scalar:
            let url = type.specifiedByURL.map { " @specifiedBy(url: \(Printer.quoted($0)))" } ?? ""
            return "\(head)scalar \(type.name)\(url)\(applied)"
        case .object, .interface:
            let keyword = type.kind == .object ? "type" : "interface"
            let interfaces = type.interfaces.map { schema[$0].name }.joined(separator: " & ")
            return "\(head)\(keyword) \(type.name)\(interfaces.isEmpty ? "" : " implements " + interfaces)\(applied)"
                + block(
                    type.fields.enumerated().map { index, field in
                        description(field.description, "  ", isFirst: index == 0) + "  " + field.name + arguments(field.arguments, "  ")
                            + ": \(schema.text(field.type))\(deprecated(field.deprecationReason))\(self.applied(field))"
                    })
        case .union:
            let members = type.members.map { schema[$0].name }.joined(separator: " | ")
            return "\(head)union \(type.name)\(applied)\(members.isEmpty ? "" : " = " + members)"
        case .enumeration:
            return "\(head)enum \(type.name)\(applied)"
                + block(
                    type.enumValues.enumerated().map { index, value in
                        description(value.description, "  ", isFirst: index == 0) + "  " + value.name + deprecated(value.deprecationReason)
                            + self.applied(value)
                    })
        case .inputObject:
            return "\(head)input \(type.name)\(applied)"
                + block(
                    type.inputFields.enumerated().map { index, field in
                        description(field.description, "  ", isFirst: index == 0) + "  " + input(field)
                    })
        }
    }

    private func directive(_ directive: DirectiveDefinition) -> String {
        let locations = directive.locations.map(\.rawValue).joined(separator: " | ")
        return description(directive.description) + "directive @\(directive.name)\(arguments(directive.arguments, ""))"
            + (directive.isRepeatable ? " repeatable" : "") + " on \(locations)"
    }

    // MARK: Pieces

    private func block(_ items: [String]) -> String { items.isEmpty ? "" : " {\n" + items.joined(separator: "\n") + "\n}" }

    private func arguments(_ arguments: [InputValue], _ indentation: String) -> String {
        if arguments.isEmpty { return "" }
        guard arguments.contains(where: { !($0.description ?? "").isEmpty }) else {
            return "(" + arguments.map(input).joined(separator: ", ") + ")"
        }
        let lines = arguments.enumerated().map { index, argument in
            description(argument.description, "  " + indentation, isFirst: index == 0) + "  " + indentation + input(argument)
        }
        return "(\n" + lines.joined(separator: "\n") + "\n\(indentation))"
    }

    private func input(_ input: InputValue) -> String {
        let value = schema.defaultValue(of: input).flatMap { schema.literalText($0, as: input.type) }.map { " = \($0)" } ?? ""
        return "\(input.name): \(schema.text(input.type))\(value)\(deprecated(input.deprecationReason))\(applied(input))"
    }

    private func deprecated(_ reason: String?) -> String {
        guard let reason else { return "" }
        return reason == Prelude.defaultDeprecationReason ? " @deprecated" : " @deprecated(reason: \(Printer.quoted(reason)))"
    }

    private func description(_ text: String?, _ indentation: String = "", isFirst: Bool = true) -> String {
        guard let text else { return "" }
        let literal = BlockString.canPrint(text) ? BlockString.printed(text) : Printer.quoted(text)
        let prefix = !indentation.isEmpty && !isFirst ? "\n" + indentation : indentation
        return prefix + literal.replacingLineFeeds(with: "\n" + indentation) + "\n"
    }

    /// As they are in the texts; those that the schema's own parts tell already are left out.
    private func applied(_ target: some DirectiveTarget) -> String {
        guard includesDirectives else { return "" }
        return target.appliedPlaces.origins.flatMap { origin in
            let document = schema.documents[origin.document]
            return document.directives(of: origin.node)
                .filter { !["deprecated", "specifiedBy"].contains(document.requiredName(of: $0)) }.map { " " + document.printed($0) }
        }.joined()
    }
}
