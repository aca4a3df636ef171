/// Uses of what is deprecated. Not part of the specification: asked for by tools.
extension Validator {
    func checkDeprecatedField(_ node: NodeID) {
        guard let reason = tracker?.field?.deprecationReason, let parent = tracker?.parent else { return }
        report("The field \(parent.name).\(document.requiredName(of: node)) is deprecated. \(reason)", node)
    }

    func checkDeprecatedArgument(_ node: NodeID) {
        guard let argument = tracker?.argument, let reason = argument.deprecationReason else { return }
        if let directive = tracker?.directive {
            report("Directive \"@\(directive.name)\" argument \"\(argument.name)\" is deprecated. \(reason)", node)
        } else if let parent = tracker?.parent, let field = tracker?.field {
            report("Field \"\(parent.name).\(field.name)\" argument \"\(argument.name)\" is deprecated. \(reason)", node)
        }
    }

    func checkDeprecatedValue(_ node: NodeID, _ kind: NodeKind) {
        guard let schema else { return }
        if kind == .objectField, let parent = tracker?.parentInput.map({ schema.named($0) }),
            let field = parent.inputField(document.requiredName(of: node)), let reason = field.deprecationReason
        {
            report("The input field \(parent.name).\(field.name) is deprecated. \(reason)", node)
        }
        if kind == .enumValue, let value = tracker?.enumValue, let reason = value.deprecationReason, let input = tracker?.input {
            report("The enum value \"\(schema.named(input).name).\(value.name)\" is deprecated. \(reason)", node)
        }
    }
}
