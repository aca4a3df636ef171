/// The types at the place of a document where a visit is: what graphql-js calls TypeInfo.
final class TypeTracker {
    let schema: GraphQLSchema
    let document: GraphQLDocument
    private var types: [TypeReference?] = []
    private var parents: [NamedType?] = []
    private var fields: [FieldDefinition?] = []
    private var inputs: [TypeReference?] = []
    private var defaults: [Bool] = []
    private(set) var directive: DirectiveDefinition?
    private(set) var argument: InputValue?
    private(set) var enumValue: EnumValue?

    init(schema: GraphQLSchema, document: GraphQLDocument) {
        self.schema = schema
        self.document = document
    }

    /// Of the field or fragment that is visited.
    var type: TypeReference? { types.last ?? nil }
    /// What selections select from.
    var parent: NamedType? { parents.last ?? nil }
    var field: FieldDefinition? { fields.last ?? nil }
    /// What a value must be.
    var input: TypeReference? { inputs.last ?? nil }
    /// What the list or object around a value must be.
    var parentInput: TypeReference? { inputs.count > 1 ? inputs[inputs.count - 2] : nil }
    var hasDefault: Bool { defaults.last ?? false }

    func enter(_ node: NodeID, _ kind: NodeKind) {
        switch kind {
        case .selectionSet:
            let named = type.map { schema.named($0) }
            parents.append(named?.kind.isComposite == true ? named : nil)
        case .field:
            let definition = parent.flatMap { schema.field(document.requiredName(of: node), of: $0) }
            fields.append(definition)
            types.append(definition.flatMap { schema.named($0.type).kind.isOutput ? $0.type : nil })
        case .directive: directive = schema.directive(document.requiredName(of: node))
        case .operationDefinition:
            let root = schema.rootType(document.operationKind(of: node))
            types.append(root?.kind == .object ? root.map { TypeReference($0.id) } : nil)
        case .inlineFragment, .fragmentDefinition:
            if let condition = document.typeCondition(of: node) {
                types.append(schema.type(document, condition).flatMap { schema.named($0).kind.isOutput ? $0 : nil })
            } else {
                types.append(type.map { TypeReference($0.named) })
            }
        case .variableDefinition: inputs.append(inputType(schema.type(document, document.type(of: node))))
        case .argument:
            let name = document.requiredName(of: node)
            argument = directive.map { $0.argument(name) } ?? field?.argument(name)
            enterInput(argument)
        case .listValue:
            // Outside of lists the items' type is that of the place: one value stands for a list of one.
            let list = input?.nullable
            defaults.append(false)
            inputs.append(inputType(list?.isList == true ? list?.unwrapped : list))
        case .objectField:
            enterInput(input.map { schema.named($0) }?.inputField(document.requiredName(of: node)))
        case .enumValue: enumValue = input.map { schema.named($0) }?.enumValue(document.requiredName(of: node))
        default: break
        }
    }

    func leave(_ kind: NodeKind) {
        switch kind {
        case .selectionSet: parents.removeLast()
        case .field:
            fields.removeLast()
            types.removeLast()
        case .directive: directive = nil
        case .operationDefinition, .inlineFragment, .fragmentDefinition: types.removeLast()
        case .variableDefinition: inputs.removeLast()
        case .argument:
            argument = nil
            leaveInput()
        case .listValue, .objectField: leaveInput()
        case .enumValue: enumValue = nil
        default: break
        }
    }

    private func enterInput(_ value: InputValue?) {
        defaults.append(value.map { schema.defaultValue(of: $0) != nil } ?? false)
        inputs.append(inputType(value?.type))
    }

    private func leaveInput() {
        defaults.removeLast()
        inputs.removeLast()
    }

    private func inputType(_ type: TypeReference?) -> TypeReference? { type.flatMap { schema.named($0).kind.isInput ? $0 : nil } }
}
