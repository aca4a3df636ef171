import ApusGraphQL
import ApusTypes

/// A text is a document or an error with a place; a document that is printed, or stripped of what GraphQL ignores, says the same.
func fuzzGraphQL(_ input: UnsafeRawBufferPointer) {
    let bytes = Array(input)
    _ = SourceText(bytes).tokens()
    guard let document = try? GraphQLDocument(parsing: bytes) else { return }
    let printed = document.printed()
    guard let again = try? GraphQLDocument(parsing: printed), again == document, again.printed() == printed else {
        fatalError("a document changed by being printed and read: \(printed)")
    }
    guard let stripped = try? SourceText(bytes).strippedOfIgnored(), let third = try? GraphQLDocument(parsing: stripped), third == document
    else { fatalError("a document changed by being stripped") }
    for problem in fuzzedSchema.problems(with: document) where problem.message.isEmpty { fatalError("an error without words") }
    guard fuzzedSchema.problems(with: document).isEmpty, let operation = try? PreparedOperation(document, schema: fuzzedSchema),
        let variables = try? operation.variables(from: [:])
    else { return }
    let collector = operation.collector(variables: variables)
    for field in collector.fields(of: operation.node, on: operation.root) {
        guard let definition = collector.definition(of: field, on: operation.root) else { fatalError("a valid field has no definition") }
        _ = try? collector.arguments(of: field, definition)
    }
}

/// A text is a schema or a refusal; a schema that is printed builds the same schema.
func fuzzGraphQLSchema(_ input: UnsafeRawBufferPointer) {
    guard let document = try? GraphQLDocument(parsing: Array(input)), let schema = try? GraphQLSchema(building: document) else { return }
    let printed = schema.printed()
    _ = schema.printed(directives: true)
    guard schema.problems().isEmpty else { return }
    guard let again = try? GraphQLSchema(building: printed), again.printed() == printed else {
        fatalError("a schema changed by being printed and built: \(printed)")
    }
}

private let fuzzedSchema: GraphQLSchema = {
    let text = """
        interface Node { id: ID! }
        type Query { a: Query b(n: Int = 1, i: In, e: [E!]): String node(id: ID!): Node list: [Node!]! u: U }
        type Thing implements Node { id: ID! name(first: Int, after: String): String things: [Thing] }
        type Other { x: Float! }
        union U = Thing | Other
        enum E { ONE TWO }
        input In { a: Int! b: [In!] c: E = ONE }
        type Mutation { set(in: In!): Boolean }
        type Subscription { s: Int t: Int }
        """
    do { return try GraphQLSchema(building: text) } catch { fatalError("the schema does not build: \(error)") }
}()
