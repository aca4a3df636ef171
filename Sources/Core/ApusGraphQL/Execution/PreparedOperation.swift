public import ApusTypes

/// An operation of a valid document, ready to be planned: it is there, has a root type, and is within the limits.
///
/// Nothing in it depends on a request's variables, so it can be kept with its document. `fields(variables:)` does: of two requests that
/// give the same values to `conditionVariables`, it selects the same fields.
public final class PreparedOperation: Sendable {
    public let schema: GraphQLSchema
    public let document: GraphQLDocument
    public let node: NodeID
    public let kind: OperationKind
    public let root: NamedType
    public let size: OperationSize
    /// The variables that `@skip` and `@include` look at, anywhere in the document.
    public let conditionVariables: [String]
    /// The variables that the operation declares, in the order of its text.
    public let variableTypes: [(name: String, type: TypeReference)]

    /// `document` must be valid for `schema`. Errors are those of graphql-js, or which limit is exceeded.
    public init(
        _ document: GraphQLDocument, schema: GraphQLSchema, name: String? = nil, limits: OperationLimits = OperationLimits()
    ) throws(GraphQLErrors) {
        do throws(GraphQLError) {
            node = try document.operation(named: name)
            kind = document.operationKind(of: node)
            guard let root = schema.rootType(kind) else {
                throw GraphQLError("Schema is not configured to execute \(kind) operation.", document, [node])
            }
            size = OperationSize(of: node, in: document)
            if let problem = limits.problem(with: size) { throw problem }
            self.root = root
            self.schema = schema
            self.document = document
            conditionVariables = Self.conditionVariables(document)
            variableTypes = document.children(of: node, .variableDefinition).compactMap { definition in
                schema.type(document, document.type(of: definition)).map { (document.requiredName(of: definition), $0) }
            }
        } catch {
            throw GraphQLErrors([error])
        }
    }

    /// A request's variables, coerced.
    public func variables(from inputs: JSONObject) throws(GraphQLErrors) -> JSONObject {
        try schema.variables(of: node, in: document, from: inputs)
    }

    /// The collector for a request's coerced variables.
    public func collector(variables: JSONObject) -> FieldCollector {
        FieldCollector(schema: schema, document: document, variables: variables)
    }

    private static func conditionVariables(_ document: GraphQLDocument) -> [String] {
        var names: [String] = []
        for index in document.nodes.indices where document.nodes[index].kind == .directive {
            let directive = NodeID(index)
            guard ["skip", "include"].contains(document.requiredName(of: directive)),
                let argument = document.firstChild(of: directive, .argument), document.kind(of: document.value(of: argument)) == .variable
            else { continue }
            let name = document.requiredName(of: document.value(of: argument))
            if !names.contains(name) { names.append(name) }
        }
        return names
    }
}

extension FieldCollector {
    /// The definition of a collected field on an object type; nil only for an invalid document.
    public func definition(of field: CollectedField, on type: NamedType) -> FieldDefinition? { schema.field(field.name, of: type) }

    /// The arguments of a field, coerced, with defaults and variables.
    public func arguments(of field: CollectedField, _ definition: FieldDefinition) throws(GraphQLError) -> JSONObject {
        try schema.arguments(definition.arguments, of: field.nodes[0], in: document, variables: variables)
    }
}
