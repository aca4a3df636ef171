import ApusGraphQL
import ApusQueryPlan
import ApusSchemas
import ApusTypes

/// A schema in the dialect is an API, or a refusal with its places; the API is a schema of GraphQL.
func fuzzQuerySchema(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    for engine in SQLEngine.allCases {
        guard let api = try? fuzzedAPI(text, engine) else { continue }
        let problems = api.schema.problems()
        if let problem = problems.first { fatalError("an API that is no schema: \(problem.message)\n\(text)") }
    }
}

/// Variables, filters and rows to be written are SQL with parameters, or a refusal: nothing of a client's texts is in a statement.
func fuzzQueryVariables(_ input: UnsafeRawBufferPointer) {
    guard let variables = (try? JSONValue(parsing: Array(input)))?.asObject else { return }
    var texts: [String] = []
    for (_, value) in variables { collect(value, into: &texts) }
    for (planner, operation) in fuzzedOperations {
        guard let coerced = try? operation.variables(from: variables), let plan = try? planner.plan(operation, variables: coerced)
        else { continue }
        for statement in plan.statements { check(statement, texts) }
    }
}

/// Texts that no statement has by itself.
private func collect(_ value: JSONValue, into texts: inout [String]) {
    switch value {
    case .string(let text): if text.utf8.count >= 6, !fuzzedSQL.contains(text) { texts.append(text) }
    case .array(let values): for value in values { collect(value, into: &texts) }
    case .object(let members): for (_, value) in members { collect(value, into: &texts) }
    default: break
    }
}

private func check(_ statement: StatementPlan, _ texts: [String]) {
    for text in texts where statement.sql.text.contains(text) {
        fatalError("a client's text is in a statement: \(text)\n\(statement.sql.text)")
    }
    for batch in statement.batches { check(batch, texts) }
}

private func fuzzedAPI(_ text: String, _ engine: SQLEngine) throws -> DataAPI {
    let source = SourceDescription(name: "shop", kind: .database(engine), prefix: "", isModule: false)
    return try DataAPI(of: try DataModel(joining: [try SchemaReader.read([SchemaFile(name: "shop", text: text)], of: source)]))
}

private let fuzzedSchema = """
    type customers @table(name: "customers") @unique(fields: ["email"]) {
      id: Int! @pk
      email: String!
      born: Date
      seen: Timestamp
      facts: JSON
      tags: [String!]
    }
    type orders @table(name: "orders") {
      id: BigInt! @pk
      customer_id: Int! @field_references(references_name: "customers", field: "id", query: "customer", references_query: "orders")
      total: Float
      isPaid: Boolean @field_source(field: "paid")
    }
    """

private let fuzzedDocument = """
    query list($filter: orders_filter, $order: [OrderByField!], $limit: Int, $offset: Int, $distinct: [String!]) {
      orders(filter: $filter, order_by: $order, limit: $limit, offset: $offset, distinct_on: $distinct) {
        id total isPaid customer { email born seen facts tags orders(filter: $filter, limit: $limit) { id } } }
    }
    query customers($where: customers_filter, $order: [OrderByField!]) {
      customers(filter: $where, order_by: $order) { id email }
      customers_aggregation(filter: $where) { _rows_count id { max } }
    }
    query one($id: Int!, $email: String!) {
      customers_by_pk(id: $id) { email orders { total } }
      customers_by_email(email: $email) { id }
    }
    mutation insert($data: customers_mut_input_data!) { insert_customers(data: $data) { id email } }
    mutation update($where: customers_filter, $change: customers_mut_data!) { update_customers(filter: $where, data: $change) { affected_rows } }
    mutation delete($where: customers_filter) { delete_customers(filter: $where) { affected_rows } }
    """

private let fuzzedOperations: [(planner: QueryPlanner, operation: PreparedOperation)] = SQLEngine.allCases.flatMap { engine in
    do {
        let api = try fuzzedAPI(fuzzedSchema, engine)
        let document = try GraphQLDocument(parsing: fuzzedDocument)
        if engine != .duckDB, let problem = api.schema.problems(with: document).first { fatalError(problem.message) }
        // A source that is only read has no mutations.
        return ["list", "customers", "one", "insert", "update", "delete"].compactMap { name in
            (try? PreparedOperation(document, schema: api.schema, name: name)).map { (QueryPlanner(api), $0) }
        }
    } catch { fatalError("the schema or the operations are wrong: \(error)") }
}

/// What the statements are made of when nothing is given.
private let fuzzedSQL = fuzzedSchema + fuzzedDocument
