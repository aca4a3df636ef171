public import ApusGraphQL
internal import ApusSchemas
public import ApusTypes

extension QueryPlanner {
    /// What an operation may ask for: its fields, each as often as there may be rows of the lists around it. A list has as many as its limits
    /// say, else as many as the default; and all lists around a field together no more than a statement may tell.
    public func cost(of operation: PreparedOperation, variables: JSONObject) throws(GraphQLError) -> Int {
        let collector = operation.collector(variables: variables)
        return try cost(collector.fields(of: operation.node, on: operation.root), on: operation.root, rows: 1, collector)
    }

    private func cost(
        _ fields: [CollectedField], on type: NamedType, rows: Int, _ collector: FieldCollector
    ) throws(GraphQLError) -> Int {
        var cost = 0
        for field in fields {
            guard let definition = collector.definition(of: field, on: type) else { continue }
            cost += rows
            let below = api.schema[definition.type.named]
            guard below.kind.isComposite else { continue }
            var rows = rows
            if definition.type.nullable.isList {
                let arguments = definition.arguments.isEmpty ? [:] : try collector.arguments(of: field, definition)
                let given = [arguments["nested_limit"], arguments["limit"]].compactMap { $0?.asInteger }.first.map { Int($0) }
                rows = min(rows * max(1, given ?? limits.defaultRows), limits.rows)
            }
            cost += try self.cost(collector.subfields(of: field, on: below), on: below, rows: rows, collector)
        }
        return cost
    }
}
