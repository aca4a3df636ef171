internal import ApusGraphQL
internal import ApusTypes

/// What `apus graphql serve` answers: one question a line, as JSON, so that a test suite in any language can drive the library from
/// outside. Not an interface for applications.
struct GraphQLQuestion {
    /// Schemas that were asked about lately, by their texts: a suite asks hundreds of questions about one.
    private var schemas = BoundedCache<[String], GraphQLSchema>(capacity: 64)

    mutating func answer(_ line: [UInt8]) -> JSONObject {
        do {
            let question = try JSONValue(parsing: line, maxDepth: 512)
            return try answer(question)
        } catch let error as GraphQLError {
            return errors([error])
        } catch let error as GraphQLErrors {
            return errors(error.errors)
        } catch {
            return ["refused": .string("\(error)")]
        }
    }

    private mutating func answer(_ question: JSONValue) throws -> JSONObject {
        let text = question["text"]?.asString ?? ""
        switch question["do"]?.asString {
        case "parse": return ["ast": GraphQLTree(document: try document(question)).json]
        case "print":
            let document = try document(question)
            return ["text": .string(document.printed(try GraphQLTree(document: document).node(question["node"])))]
        case "strip": return ["text": .string(try SourceText(text).strippedOfIgnored())]
        case "tokens": return tokens(text)
        case "validate":
            let problems = try schema(question).problems(with: try document(question), rules: rules(question, ValidationRule.specified))
            return errors(problems)
        case "validate_schema_text":
            let base = question["schema"] == nil ? nil : try schema(question)
            return errors(try document(question).schemaProblems(extending: base, rules: rules(question, ValidationRule.forSchemas)))
        case "build":
            let schema = try schema(question)
            let type = question["type"]?.asString.flatMap { schema.type($0) }
            return [
                "text": .string(type.map { schema.printed($0) } ?? schema.printed(directives: question["directives"] == true)),
                "introspection": .string(schema.printedIntrospection()),
                "problems": .array(schema.problems().map(json)),
            ]
        case "introspect":
            let schema = try schema(question)
            let operation = try PreparedOperation(try document(question), schema: schema)
            let collector = operation.collector(variables: try operation.variables(from: question["variables"]?.asObject ?? [:]))
            return try introspect(operation, collector)
        case "variables":
            let operation = try PreparedOperation(try document(question), schema: try schema(question))
            return ["values": .object(try operation.variables(from: question["variables"]?.asObject ?? [:]))]
        case "coerce": return try coerce(question)
        case "literal": return try literal(question)
        default: throw ApusError(.requestInvalid, "'do' names no question")
        }
    }

    // MARK: What questions name

    private func document(_ question: JSONValue) throws -> GraphQLDocument {
        let text = question["text"]?.asString ?? ""
        var limits = ParserLimits.schema
        if let tokens = question["max_tokens"]?.asInteger { limits.tokens = Int(tokens) }
        return switch question["kind"]?.asString {
        case "value": try GraphQLDocument(parsingValue: text, limits: limits)
        case "constant": try GraphQLDocument(parsingValue: text, isConstant: true, limits: limits)
        case "type": try GraphQLDocument(parsingType: text, limits: limits)
        default: try GraphQLDocument(parsing: text, limits: limits)
        }
    }

    /// `schema` is a list of texts: a schema, which may be empty, and what extends it.
    private mutating func schema(_ question: JSONValue) throws -> GraphQLSchema {
        let texts = question["schema"]?.asArray?.compactMap(\.asString) ?? []
        if let known = schemas.value(for: texts) { return known }
        guard let first = texts.first else { throw ApusError(.requestInvalid, "'schema' is a list of texts") }
        var schema = first.isEmpty ? GraphQLSchema.empty : try GraphQLSchema(building: first)
        for text in texts.dropFirst() { schema = try schema.extended(by: try GraphQLDocument(parsing: text, limits: .schema)) }
        schemas.insert(schema, for: texts)
        return schema
    }

    private func rules(_ question: JSONValue, _ all: Set<ValidationRule>) -> Set<ValidationRule> {
        question["rules"]?.asArray.map { Set($0.compactMap(\.asString).compactMap(ValidationRule.init(name:))) } ?? all
    }

    // MARK: Answers

    private func errors(_ errors: [GraphQLError]) -> JSONObject { ["errors": .array(errors.map(json))] }

    private func json(_ error: GraphQLError) -> JSONValue {
        [
            "message": .string(error.message),
            "locations": .array(error.locations.map { [.integer(Int64($0.line)), .integer(Int64($0.column))] }),
        ]
    }

    private func json(_ path: [GraphQLError.PathElement]) -> JSONValue {
        .array(
            path.map { element in
                switch element {
                case .key(let key): .string(key)
                case .index(let index): .integer(Int64(index))
                }
            })
    }

    /// The tokens up to the first error, which is told after them.
    private func tokens(_ text: String) -> JSONObject {
        let source = SourceText(text)
        let (tokens, error) = source.tokens()
        let end = source.location(at: source.bytes.count)
        var answer: JSONObject = [
            "tokens": .array(
                tokens.map { token in
                    let place = source.location(at: token.range.lowerBound)
                    return [
                        "kind": .string(token.kind), "start": .integer(Int64(token.range.lowerBound)),
                        "end": .integer(Int64(token.range.upperBound)), "line": .integer(Int64(place.line)),
                        "column": .integer(Int64(place.column)), "value": token.value.map { .string($0) } ?? .null,
                    ]
                }), "end": [.integer(Int64(end.line)), .integer(Int64(end.column))],
        ]
        if let error { answer["errors"] = .array([json(error)]) }
        return answer
    }

    private func introspect(_ operation: PreparedOperation, _ collector: FieldCollector) throws -> JSONObject {
        var members: [ResponseValue.Member] = []
        for field in collector.fields(of: operation.node, on: operation.root) {
            guard let definition = collector.definition(of: field, on: operation.root), field.name.hasPrefix("__") else { continue }
            let arguments = try collector.arguments(of: field, definition)
            let value =
                field.name == "__typename"
                ? ResponseValue.leaf(.string(operation.root.name))
                : try Introspection(collector).value(of: field, definition, arguments) ?? .null
            members.append(.init(field.responseKey, value))
        }
        return ["response": try JSONValue(parsing: GraphQLResponse(data: .object(members)).serialized(), maxDepth: 512)]
    }

    private mutating func coerce(_ question: JSONValue) throws -> JSONObject {
        let schema = try schema(question)
        let type = try type(question, schema)
        var problems: [GraphQLSchema.InputProblem] = []
        let value = schema.value(question["value"] ?? .null, as: type, problems: &problems)
        return [
            "value": value ?? .null,
            "problems": .array(problems.map { ["path": json($0.path), "message": .string($0.message)] }),
        ]
    }

    private mutating func literal(_ question: JSONValue) throws -> JSONObject {
        let schema = try schema(question)
        let document = try GraphQLDocument(parsingValue: question["text"]?.asString ?? "")
        let nodes = Array(document.children(of: GraphQLDocument.root))
        let value = schema.value(
            of: nodes[0], in: document, as: try type(question, schema), variables: question["variables"]?.asObject ?? [:])
        return value.map { ["value": $0] } ?? [:]
    }

    private func type(_ question: JSONValue, _ schema: GraphQLSchema) throws -> TypeReference {
        let document = try GraphQLDocument(parsingType: question["type"]?.asString ?? "")
        let nodes = Array(document.children(of: GraphQLDocument.root))
        guard let type = schema.type(document, nodes[0]) else { throw ApusError(.requestInvalid, "the schema has no such type") }
        return type
    }
}

/// A document's nodes as JSON: `{"id", "kind", "start", "end", …, "children"}`.
struct GraphQLTree {
    let document: GraphQLDocument

    var json: JSONValue {
        var next: Int64 = 0
        return json(GraphQLDocument.root, &next)
    }

    /// The node of a number in `json`; the document without one.
    func node(_ number: JSONValue?) throws -> NodeID {
        guard let number = number?.asInteger else { return GraphQLDocument.root }
        var next: Int64 = 0
        guard let found = find(GraphQLDocument.root, number, &next) else { throw ApusError(.requestInvalid, "there is no such node") }
        return found
    }

    private func find(_ node: NodeID, _ number: Int64, _ next: inout Int64) -> NodeID? {
        if next == number { return node }
        next += 1
        for child in document.children(of: node) {
            if let found = find(child, number, &next) { return found }
        }
        return nil
    }

    private func json(_ node: NodeID, _ next: inout Int64) -> JSONValue {
        let range = document.range(of: node)
        let kind = document.kind(of: node)
        var object: JSONObject = [
            "id": .integer(next), "kind": .string("\(kind)"), "start": .integer(Int64(range.lowerBound)),
            "end": .integer(Int64(range.upperBound)),
        ]
        next += 1
        switch kind {
        case .name, .enumValue: object["value"] = document.name(of: node).map { .string($0) }
        case .intValue, .floatValue: object["value"] = .string(document.sourceText(of: node))
        case .stringValue:
            object["value"] = .string(document.string(of: node))
            object["block"] = .bool(document.isBlockString(node))
        case .booleanValue: object["value"] = .bool(document.isTrue(node))
        case .operationDefinition, .operationTypeDefinition: object["operation"] = .string("\(document.operationKind(of: node))")
        case .directiveDefinition: object["repeatable"] = .bool(document.isTrue(node))
        default: break
        }
        if document.hasAlias(node) { object["alias"] = true }
        if document.description(of: node) != nil { object["description"] = true }
        object["children"] = .array(document.children(of: node).map { json($0, &next) })
        return .object(object)
    }
}
