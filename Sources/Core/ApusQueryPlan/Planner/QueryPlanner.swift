public import ApusGraphQL
public import ApusSchemas
public import ApusTypes

/// Plans operations over a generated API: one statement for each field of a data source, with everything in it that the source can do.
///
/// A pure function: texts and values in, SQL and shapes out. Relations inside a source are joined in the statement, the first list of each
/// object too; a second list beside it, which would multiply rows, and what is in another source, is asked for by keys.
public struct QueryPlanner: Sendable {
    public let api: DataAPI
    /// The values of placeholders such as `[$auth.user_id]`, by their names.
    public let identity: JSONObject
    public let permissions: RolePermissions
    public let limits: PlanLimits

    public init(
        _ api: DataAPI, identity: JSONObject = [:], permissions: RolePermissions = RolePermissions(), limits: PlanLimits = PlanLimits()
    ) {
        self.api = api
        self.permissions = permissions
        self.identity = identity
        self.limits = limits
    }

    /// `variables` are coerced. Errors are the client's: they have a place in its text.
    public func plan(_ operation: PreparedOperation, variables: JSONObject) throws(GraphQLError) -> OperationPlan {
        let values = RequestValues(variables, of: operation, identity: identity)
        return OperationPlan(try template(operation, variables, values), values, variables)
    }

    /// `values` are those of the variables.
    func template(
        _ operation: PreparedOperation, _ variables: JSONObject, _ values: RequestValues
    ) throws(GraphQLError) -> PlanTemplate {
        let record = PlanningRecord(values, limits)
        let marked = values.marked(variables, of: operation)
        let request = RequestContext(planner: self, collector: operation.collector(variables: marked), record: record)
        let fields = request.collector.fields(of: operation.node, on: operation.root)
        var statements: [StatementPlan] = []
        let data = try node(fields, on: operation.root, [], request, &statements)
        let document = operation.document
        let isMeasured = document.directives(of: operation.node).contains { document.name(of: $0) == "stats" }
        return PlanTemplate(
            operation.kind, statements, data, record.observations,
            measuredName: isMeasured ? document.name(of: operation.node) ?? "" : nil)
    }

    /// The fields of a root or module: modules are objects of the reply, anything else a statement.
    private func node(
        _ fields: [CollectedField], on type: NamedType, _ path: [String], _ request: RequestContext, _ statements: inout [StatementPlan],
        isTransformed: Bool = false
    ) throws(GraphQLError) -> PlanTemplate.Node {
        var members: [(name: [UInt8], node: PlanTemplate.Node)] = []
        for field in fields {
            let path = path + [field.responseKey]
            let node: PlanTemplate.Node
            do throws(GraphQLError) {
                try request.allow(field.name, on: type.name)
            } catch {
                throw request.located(error, field, path)
            }
            if field.name == "__typename" {
                node = .text(JSONText.quoted(type.name))
            } else if field.name == "__schema" || field.name == "__type" {
                do throws(GraphQLError) {
                    node = .text(try introspection(field, on: type, request))
                } catch {
                    throw request.located(error, field, path)
                }
            } else if case .description(let described)? = api.meaning(of: field.name, on: type.name) {
                do throws(GraphQLError) {
                    let value = ModelDescription(request).value(described, try request.use(of: field, on: type))
                    node = .text(value.serialized())
                } catch {
                    throw request.located(error, field, path)
                }
            } else if api.meaning(of: field.name, on: type.name) == .module, let below = request.type(of: field, on: type) {
                node = try self.node(
                    request.collector.subfields(of: field, on: below), on: below, path, request, &statements, isTransformed: isTransformed)
            } else if api.meaning(of: field.name, on: type.name) == .transform {
                do throws(GraphQLError) {
                    guard !isTransformed else {
                        throw GraphQLError("jq cannot stand inside jq; write one program, with | between its parts.")
                    }
                    node = try transformed(field, on: type, path, request, &statements)
                } catch {
                    throw request.located(error, field, path)
                }
            } else if api.meaning(of: field.name, on: type.name) == .cells {
                do throws(GraphQLError) {
                    node = .cells(try cells(field, on: type, path, request, &statements))
                } catch {
                    throw request.located(error, field, path)
                }
            } else {
                do throws(GraphQLError) {
                    let statement = try self.statement(field, on: type, request)
                    let caching = try request.caching(field, api.meaning(of: field.name, on: type.name), statement)
                    let isMeasured = request.hasDirective("stats", field)
                    statements.append(
                        statement.with {
                            $0.path = path
                            $0.measuredName = isMeasured ? field.name : nil
                            $0.caching = caching
                        })
                } catch {
                    throw request.located(error, field, path)
                }
                node = .statement(statements.count - 1)
            }
            members.append((JSONText.quoted(field.responseKey) + [UInt8(ascii: ":")], node))
        }
        return .object(members)
    }

    private func transformed(
        _ field: CollectedField, on type: NamedType, _ path: [String], _ request: RequestContext, _ statements: inout [StatementPlan]
    ) throws(GraphQLError) -> PlanTemplate.Node {
        let use = try request.use(of: field, on: type)
        let transform = PlanTemplate.Transform(
            path: path, program: use.arguments["query"]?.asString ?? "", includesOrigin: use.arguments["include_origin"]?.asBool == true)
        return .transformed(transform, try node(use.fields, on: use.type, path, request, &statements, isTransformed: true))
    }

    private func introspection(_ field: CollectedField, on type: NamedType, _ request: RequestContext) throws(GraphQLError) -> [UInt8] {
        // Its values are looked at, wherever they stand.
        let variables = JSONObject(request.collector.variables.map { ($0.key, PlanValue($0.value, request.record).json) })
        let collector = FieldCollector(schema: request.collector.schema, document: request.collector.document, variables: variables)
        guard let definition = collector.definition(of: field, on: type) else { return JSONText.quoted("") }
        let value = try Introspection(collector, hidden: HiddenParts(of: api, by: permissions)).value(
            of: field, definition, try collector.arguments(of: field, definition))
        var writer = JSONWriter()
        (value ?? .null).write(to: &writer)
        return writer.bytes
    }

    private func statement(_ field: CollectedField, on type: NamedType, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        let use = try request.use(of: field, on: type)
        if let plan = try StatementBuilder.action(api.meaning(of: field.name, on: type.name), use, request) { return plan }
        switch api.meaning(of: field.name, on: type.name) {
        case .list(let name)?: return try StatementBuilder.list(try request.object(name), use, request)
        case .edges(let name)?: return try StatementBuilder.edges(try request.object(name), use, request)
        case .one(let name, let key)?: return try StatementBuilder.one(try request.object(name), key: key, use, request)
        case .aggregation(let name)?: return try StatementBuilder.aggregation(try request.object(name), use, request)
        case .buckets(let name)?: return try StatementBuilder.buckets(try request.object(name), use, request)
        case .function(let id)?: return try StatementBuilder.function(id, use, request)
        case .insert(let name)?: return try StatementBuilder.insert(try request.object(name), use, request)
        case .insertMany(let name)?: return try StatementBuilder.insertMany(try request.object(name), use, request)
        case .update(let name)?: return try StatementBuilder.update(try request.object(name), use, request)
        case .delete(let name)?: return try StatementBuilder.delete(try request.object(name), use, request)
        case .transform?, .module?, .description?, .cells?, nil:
            throw GraphQLError("Field \"\(field.name)\" is not answered from a data source.")
        }
    }
}

/// A field with what the request says about it.
struct FieldUse {
    var field: CollectedField
    /// Of its named type.
    var fields: [CollectedField]
    var type: NamedType
    /// Coerced, with defaults.
    var arguments: PlanObject
    /// The names of arguments that the request gives.
    var given: Set<String>
    /// The type that the field is one of.
    var parent: String

    /// Nil where it is null or missing, or only a default.
    func given(_ argument: String) -> PlanValue? {
        guard given.contains(argument), let value = arguments[argument], !value.isNull else { return nil }
        return value
    }

    /// A number of rows, or of rows to skip.
    func count(_ argument: String) throws(GraphQLError) -> SQLFragment? {
        guard let value = given(argument) else { return nil }
        let form = SQLParameter.Form.count(argument)
        // A variable's is checked with each request.
        if value.isKnown { try form.check(value.json) }
        return .value(value, as: .bigInt, form: form)
    }
}

/// A request as all parts of the planner see it.
struct RequestContext {
    let planner: QueryPlanner
    let collector: FieldCollector
    let record: PlanningRecord

    var model: DataModel { planner.api.model }

    func object(_ name: String) throws(GraphQLError) -> DataObject {
        guard let object = model.objects[name] else { throw GraphQLError("There is no data object \"\(name)\" any more.") }
        return object
    }

    func engine(of source: String) throws(GraphQLError) -> SQLEngine {
        guard case .database(let engine)? = model.sources[source]?.kind else {
            throw GraphQLError("Data source \"\(source)\" does not speak SQL.")
        }
        return engine
    }

    func type(of field: CollectedField, on type: NamedType) -> NamedType? {
        collector.definition(of: field, on: type).map { planner.api.schema[$0.type.named] }
    }

    func use(of field: CollectedField, on type: NamedType) throws(GraphQLError) -> FieldUse {
        guard let definition = collector.definition(of: field, on: type) else {
            throw GraphQLError("Cannot query field \"\(field.name)\" on type \"\(type.name)\".")
        }
        try allow(field.name, on: type.name)
        let document = collector.document
        let below = planner.api.schema[definition.type.named]
        let given = document.arguments(of: field.nodes[0]).filter { argument in
            let value = document.value(of: argument)
            guard document.kind(of: value) == .variable else { return true }
            return document.name(of: value).map { collector.variables[$0] != nil } ?? false
        }
        return FieldUse(
            field: field, fields: below.kind.isComposite ? collector.subfields(of: field, on: below) : [], type: below,
            arguments: PlanObject(try collector.arguments(of: field, definition), record),
            given: Set(given.compactMap { document.name(of: $0) }), parent: type.name)
    }

    func located(_ error: GraphQLError, _ field: CollectedField, _ path: [String]) -> GraphQLError {
        // Where somebody met a rule is not told: Hugr's clients compare the error whole.
        guard error.message != Self.forbidden.message else { return error }
        var error = error
        if error.locations.isEmpty { error.locations = field.nodes.prefix(1).map { collector.document.location(of: $0) } }
        if error.path == nil { error.path = path.map { .key($0) } }
        return error
    }
}
