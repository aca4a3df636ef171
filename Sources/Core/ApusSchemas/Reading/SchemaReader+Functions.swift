internal import ApusGraphQL
internal import ApusTypes

/// Functions and their parameters.
extension SchemaReader {
    mutating func readFunction(_ node: NodeID, of root: String) {
        let use: DataFunction.Use = root == "Subscription" ? .subscription : root == "MutationFunction" ? .mutation : .query
        let name = text.name(of: node)
        guard let definition = schema.type(root)?.field(name) else { return }
        let applied = Applied(schema.directives(on: definition))
        guard let function = applied["function"] else {
            return report(.definition, "\(root).\(name): a function needs @function(name: …), the function in the database", at: node)
        }
        guard let result = dataType(definition.type, at: node) else { return }
        var request: RequestTemplate?
        if source.kind == .http {
            do throws(RequestTemplate.Problem) {
                request = try RequestTemplate(function.text("sql") ?? "", arguments: definition.arguments.map(\.name))
            } catch {
                report(.definition, "\(root).\(name): \(error.what)", at: node)
            }
        }
        var described = DataFunction(
            name: name, source: source.name, module: module(applied["module"], at: node), use: use,
            description: definition.description, deprecationReason: definition.deprecationReason,
            parameters: parameters(definition.arguments, at: node), result: result, isNonNull: definition.type.isNonNull,
            isTable: function.isTrue("is_table") || result.element.isObject, sqlName: function.text("name") ?? name,
            sql: function.text("sql"), skipsNullArguments: function.isTrue("skip_null_arg"), request: request,
            isJSON: function.isTrue("json_cast"))
        described.caching = cachingRule(applied, "\(root).\(name)", node)
        self.result.functions.append(described)
    }

    mutating func parameters(_ inputs: [InputValue], at node: NodeID) -> [Parameter] {
        var parameters: [Parameter] = []
        for input in inputs {
            guard let type = dataType(input.type, at: node) else { continue }
            let applied = Applied(schema.directives(on: input))
            parameters.append(
                Parameter(
                    name: input.name, type: type, isNonNull: input.type.isNonNull,
                    defaultLiteral: schema.defaultValue(of: input).flatMap { schema.literalText($0, as: input.type) },
                    description: input.description, deprecationReason: input.deprecationReason,
                    injected: applied["arg_default"]?.text("value"),
                    sqlName: applied["named"]?.text("name") ?? applied["field_source"]?.text("field")))
        }
        return parameters
    }
}
