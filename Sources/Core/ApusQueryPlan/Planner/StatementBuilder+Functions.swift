internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Calls of functions.
extension StatementBuilder {
    static func function(_ id: DataFunction.ID, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        guard let function = request.model.functions[id] else { throw GraphQLError("There is no function \"\(id.name)\" any more.") }
        var builder = try StatementBuilder(request, source: function.source)
        builder.beginLevel()
        let call = try builder.call(function, use)
        let isList = function.result.isList
        var plan: StatementPlan
        if case .object(let name) = function.result.element {
            let target = try request.object(name)
            let scope = builder.scope(target, level: 0)
            builder.levels[0].item = try builder.object(use.fields, use.type, scope)
            guard builder.levels.count == 1 || !target.primaryKey.isEmpty else {
                throw GraphQLError("\(name) needs a @pk for lists in what a function gives.")
            }
            builder.levels[0].key = builder.levels.count > 1 ? builder.key(of: scope).map { builder.select.column($0) } : []
            let rows = try builder.restricted(call, target, try request.filter(.query, target))
            var sql: SQLFragment = "\(builder.selectClause) FROM \(rows) AS \(scope.alias)\(builder.select.joined)"
            sql.append(clause(" ORDER BY ", builder.rowOrder()))
            plan = try builder.plan(sql, result: isList ? .list : .one)
        } else {
            builder.levels[0].item = try builder.value("\"f\".\"v\"", function.result.element, use)
            let source: SQLFragment =
                isList && function.isTable || isList && builder.engine != .sqlite
                ? "\(call) AS \"f\"(\"v\")" : "(SELECT \(call) AS \"v\") AS \"f\""
            plan = try builder.plan("\(builder.selectClause) FROM \(source)", result: isList ? .list : .one)
        }
        return plan.with { $0.isMutation = function.isMutation }
    }

    /// A function called for each row, with columns of the row as arguments.
    mutating func call(for field: DataField, _ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Shape {
        guard case .functionCall(let call) = field.kind, let function = request.model.functions[call.function] else {
            throw GraphQLError("There is no function behind \"\(field.name)\" any more.")
        }
        try request.allow(calling: function)
        var columns: [(argument: String, field: DataField)] = []
        for (argument, name) in call.arguments.sorted(by: { $0.key < $1.key }) {
            columns.append((argument, try self.field(name, of: scope.object)))
        }
        guard function.source == source, !request.actsItself(source) else {
            guard !isGrouping else { throw GraphQLError("Rows cannot be grouped by \"\(field.name)\", which another source computes.") }
            return try batch(calling: function, columns, use, scope)
        }
        guard !function.isTable else {
            throw GraphQLError("\"\(field.name)\" calls \"\(function.name)\", which gives rows; that is not planned yet.")
        }
        let given = Dictionary(columns.map { ($0.argument, column($0.field, of: scope)) }, uniquingKeysWith: { $1 })
        return try value(try self.call(function, use, given), field.type, use)
    }

    /// The call itself: what the author wrote, or the function's name with its arguments in their order. `columns` are arguments that come
    /// from a row.
    func call(
        _ function: DataFunction, _ use: FieldUse, _ columns: [String: SQLFragment] = [:]
    ) throws(GraphQLError) -> SQLFragment {
        func argument(_ parameter: Parameter) throws(GraphQLError) -> SQLFragment {
            if let column = columns[parameter.name] { return column }
            return try value(of: parameter, use.arguments)
        }
        if let sql = function.sql {
            return try template(sql) { name throws(GraphQLError) in
                let plain = name.hasPrefix("$") ? String(name.dropFirst()) : name
                guard let parameter = function.parameters.first(where: { $0.name == plain }) else { return nil }
                return try argument(parameter)
            }
        }
        var arguments: [SQLFragment] = []
        for parameter in function.parameters {
            let isNull = columns[parameter.name] == nil && use.arguments[parameter.name]?.isNull ?? true
            if function.skipsNullArguments, isNull, parameter.injected == nil { continue }
            arguments.append(try argument(parameter))
        }
        return "\(.path(function.sqlName))(\(arguments.joined(separator: ", ")))"
    }
}
