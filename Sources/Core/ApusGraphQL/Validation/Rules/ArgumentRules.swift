/// Arguments of fields and directives: known, unique, and there where they are required.
extension Validator {
    func checkKnownArgument(_ node: NodeID) {
        // Those of directives are checked with their directive.
        guard let parent = ancestors.last, document.kind(of: parent) == .field, tracker?.argument == nil, let field = tracker?.field,
            let type = tracker?.parent
        else { return }
        let name = document.requiredName(of: node)
        let suggestions = Suggestions.didYouMean(name, among: field.arguments.map(\.name))
        report("Unknown argument \"\(name)\" on field \"\(type.name).\(document.requiredName(of: parent))\".\(suggestions)", node)
    }

    func checkKnownDirectiveArguments(_ node: NodeID) {
        let arguments = document.arguments(of: node)
        guard !arguments.isEmpty, let directive = knownDirectives[document.requiredName(of: node)] else { return }
        for argument in arguments {
            let name = document.requiredName(of: argument)
            guard !directive.arguments.contains(where: { $0.name == name }) else { continue }
            let suggestions = Suggestions.didYouMean(name, among: directive.arguments.map(\.name))
            report("Unknown argument \"\(name)\" on directive \"@\(document.requiredName(of: node))\".\(suggestions)", argument)
        }
    }

    func checkUniqueArguments(_ node: NodeID) {
        for group in Duplicates.groups(document.arguments(of: node), document.symbol(of:)) {
            report(
                "There can be only one argument named \"\(document.requiredName(of: group[0]))\".", group.map { document.nameNode(of: $0) })
        }
    }

    func checkRequiredArguments(ofField node: NodeID) {
        guard let schema, let field = tracker?.field else { return }
        for argument in field.arguments where schema.isRequired(argument) && !isGiven(argument.name, node) {
            report(
                "Field \"\(document.requiredName(of: node))\" argument \"\(argument.name)\" of type \"\(schema.text(argument.type))\" is required, but it was not provided.",
                node)
        }
    }

    func checkRequiredArguments(ofDirective node: NodeID) {
        let name = document.requiredName(of: node)
        guard let directive = knownDirectives[name] else { return }
        for argument in directive.arguments {
            guard let type = argument.requiredType, !isGiven(argument.name, node) else { continue }
            report("Directive \"@\(name)\" argument \"\(argument.name)\" of type \"\(type)\" is required, but it was not provided.", node)
        }
    }

    private func isGiven(_ name: String, _ node: NodeID) -> Bool {
        document.arguments(of: node).contains { document.requiredName(of: $0) == name }
    }
}
