public import ApusTypes

extension GraphQLSchema {
    private var literals: LiteralCoercion {
        LiteralCoercion(types: types, scalars: scalars) { [defaults] in defaults[$0.number] }
    }

    /// A literal as a value of a type, with the coerced variables in it; nil when it is none.
    public func value(
        of node: NodeID, in document: GraphQLDocument, as type: TypeReference, variables: JSONObject = [:]
    ) -> JSONValue? {
        literals.value(document, node, type, variables)
    }

    /// What is wrong with a JSON value for an input type, and where in it.
    public struct InputProblem: Sendable, Hashable {
        public var path: [GraphQLError.PathElement]
        public var value: JSONValue
        public var message: String
    }

    /// A JSON value as a value of an input type: single values in lists, defaults in objects. Nil where it cannot be one; each reason is
    /// appended to `problems`, at most `limit` of them.
    public func value(
        _ value: JSONValue, as type: TypeReference, problems: inout [InputProblem], limit: Int = 50
    ) -> JSONValue? {
        var coercion = ValueCoercion(schema: self, limit: limit)
        let result = coercion.value(value, type)
        problems += coercion.problems
        return result
    }

    /// The variables of an operation from a request's JSON: coerced, with defaults. Throws one error for each that does not fit
    /// (at most 50), in the words of graphql-js.
    public func variables(
        of operation: NodeID, in document: GraphQLDocument, from inputs: JSONObject
    ) throws(GraphQLErrors) -> JSONObject {
        var errors: [GraphQLError] = []
        var values = JSONObject()
        for definition in document.children(of: operation, .variableDefinition) {
            guard errors.count < Self.mostVariableErrors else {
                errors.append(GraphQLError("Too many errors processing variables, error limit reached. Execution aborted."))
                break
            }
            let name = document.requiredName(of: definition)
            let typeNode = document.type(of: definition)
            guard let type = type(document, typeNode), named(type).kind.isInput else {
                let text = document.printed(typeNode)
                errors.append(
                    GraphQLError(
                        "Variable \"$\(name)\" expected value of type \"\(text)\" which cannot be used as an input type.", document,
                        [typeNode]))
                continue
            }
            guard let input = inputs[name] else {
                if let node = document.defaultValue(of: definition) {
                    values[name] = value(of: node, in: document, as: type)
                } else if type.isNonNull {
                    errors.append(
                        GraphQLError(
                            "Variable \"$\(name)\" of required type \"\(text(type))\" was not provided.", document, [definition]))
                }
                continue
            }
            if input.isNull, type.isNonNull {
                errors.append(
                    GraphQLError("Variable \"$\(name)\" of non-null type \"\(text(type))\" must not be null.", document, [definition]))
                continue
            }
            var problems: [InputProblem] = []
            values[name] = value(input, as: type, problems: &problems, limit: Self.mostVariableErrors - errors.count)
            errors += problems.map { problem in
                let place = problem.path.isEmpty ? "" : " at \"\(name)\(Self.text(problem.path))\""
                return GraphQLError(
                    "Variable \"$\(name)\" got invalid value \(Inspection.text(problem.value))\(place); \(problem.message)", document,
                    [definition])
            }
        }
        if !errors.isEmpty { throw GraphQLErrors(errors) }
        return values
    }

    static let mostVariableErrors = 50

    static func text(_ path: [GraphQLError.PathElement]) -> String {
        path.map { element in
            switch element {
            case .key(let key): ".\(key)"
            case .index(let index): "[\(index)]"
            }
        }.joined()
    }

    /// The arguments of a field or directive, coerced, with defaults and variables.
    public func arguments(
        _ definitions: [InputValue], of node: NodeID, in document: GraphQLDocument, variables: JSONObject
    ) throws(GraphQLError) -> JSONObject {
        var values = JSONObject()
        guard !definitions.isEmpty else { return values }
        let given = document.arguments(of: node)
        for definition in definitions {
            let value = given.last { document.requiredName(of: $0) == definition.name }.map { document.value(of: $0) }
            values[definition.name] = try argument(definition, value, node, document, variables)
        }
        return values
    }

    private func argument(
        _ definition: InputValue, _ node: NodeID?, _ parent: NodeID, _ document: GraphQLDocument, _ variables: JSONObject
    ) throws(GraphQLError) -> JSONValue? {
        func missing(_ why: String, _ place: NodeID) throws(GraphQLError) -> JSONValue? {
            if let value = defaults[definition.number] { return value }
            guard definition.type.isNonNull else { return nil }
            throw GraphQLError("Argument \"\(definition.name)\" of required type \"\(text(definition.type))\" \(why)", document, [place])
        }
        guard let node else { return try missing("was not provided.", parent) }
        var isNull = document.kind(of: node) == .nullValue
        if document.kind(of: node) == .variable {
            let name = document.requiredName(of: node)
            guard let value = variables[name] else {
                return try missing("was provided the variable \"$\(name)\" which was not provided a runtime value.", node)
            }
            isNull = value.isNull
        }
        if isNull, definition.type.isNonNull {
            throw GraphQLError(
                "Argument \"\(definition.name)\" of non-null type \"\(text(definition.type))\" must not be null.", document, [node])
        }
        guard let value = literals.value(document, node, definition.type, variables) else {
            throw GraphQLError("Argument \"\(definition.name)\" has invalid value \(document.printed(node)).", document, [node])
        }
        return value
    }
}
