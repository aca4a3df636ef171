import ApusGraphQL
import ApusTypes
import Testing

@testable import ApusQueryPlan
@testable import ApusSchemas

/// Statements over points: the question of each as its parameter.
@Suite("plans over points")
struct PointsPlanTests {
    private static func api() throws -> DataAPI {
        var description = SourceDescription(name: "v", kind: .database(.sqlite), isReadOnly: true)
        description.hasPoints = true
        let text = """
            type docs @table(name: "the docs") @embeddings(model: "m", vector: "vector", distance: Cosine) {
              id: String! @pk
              title: String
              product: BigInt
              author: String @field_source(field: "author.name")
              vector: Vector @dim(len: 2)
              score: Float @field_source(field: "_score")
              loud: String @sql(exp: "upper([title])")
            }
            """
        let schema = try SchemaReader.read([SchemaFile(name: "v", text: text)], of: description)
        let shop = try SchemaReader.read(
            [SchemaFile(name: "s", text: "type products @table(name: \"products\") { id: BigInt! @pk name: String }")],
            of: SourceDescription(name: "s", kind: .database(.postgreSQL)))
        return try DataAPI(of: try DataModel(joining: [schema, shop]))
    }

    private static func plan(
        _ text: String, _ variables: JSONObject = [:], role: RolePermissions = RolePermissions()
    ) throws -> OperationPlan {
        let api = try api()
        let document = try GraphQLDocument(parsing: text)
        try #require(api.schema.problems(with: document) == [])
        let operation = try PreparedOperation(document, schema: api.schema)
        return try QueryPlanner(api, identity: ["auth.user_id": "u1"], permissions: role).plan(
            operation, variables: try operation.variables(from: variables))
    }

    /// What a statement asks of its collection.
    private static func question(
        _ text: String, _ variables: JSONObject = [:], role: RolePermissions = RolePermissions()
    ) throws -> JSONValue {
        let plan = try plan(text, variables, role: role)
        let parameter = try #require(plan.statements[0].sql.parameters.first)
        guard case .points(let question) = try BoundParameter(parameter, plan.values, keys: []) else {
            throw GraphQLError("the first parameter is no question")
        }
        return question
    }

    @Test("filter, page and search travel as one parameter; nothing of them is SQL")
    func question() throws {
        let question = try Self.question(
            """
            query($t: String, $v: Vector!, $n: Int!) {
              docs(filter: {title: {eq: $t}, _not: {author: {in: ["a"]}}, _or: [{product: {gt: null}}]}, limit: $n, offset: 2,
                similarity: {name: "vector", vector: $v, distance: Cosine, limit: 9}) { id }
            }
            """, ["t": "'; DROP", "v": [1, 2], "n": 3])
        #expect(question["collection"] == "the docs")
        #expect(
            question["where"]?.description
                == #"[{"op":"and","of":[{"op":"eq","path":"title","type":"String","value":"'; DROP"},{"op":"not","of":[{"op":"and","of":[{"op":"in","path":"author.name","type":"String","value":["a"]}]}]}]}]"#
        )
        #expect(question["search"]?.description == #"{"field":"vector","vector":[1,2],"distance":"Cosine","limit":9}"#)
        #expect(question["limit"] == 3 && question["offset"] == 2)
        let told = question["columns"]?.asArray?.filter { $0["told"] == true }.map { $0["path"]?.asString ?? "" }
        #expect(
            told == ["id", "title", "product", "author.name", "_score"], "one is computed of others; vectors only where they are selected")
        let order = try Self.question("{ docs(order_by: [{field: \"product\", direction: DESC}], limit: 3, offset: 1) { id } }")["order"]
        #expect(order == ["path": "product", "descending": true, "limit": 3, "offset": 1])
    }

    @Test("more than a page is asked for where the engine orders, or filters what was found")
    func pages() throws {
        for arguments in [
            "order_by: [{field: \"title\"}], limit: 3", "filter: {score: {gt: 0.5}}, limit: 3", "distinct_on: [\"title\"], limit: 3",
        ] {
            #expect(try Self.question("{ docs(\(arguments)) { id } }")["limit"] == nil, "\(arguments)")
        }
        #expect(try Self.question("{ docs { id } }")["limit"] == 2001, "one more than is told shows that there are more")
        let count = try Self.question("{ docs_aggregation { _rows_count } }")
        #expect(count["limit"] == nil && count["count"] == true && count["columns"] == [])
        #expect(try Self.question("{ docs_aggregation { _rows_count product { max } } }")["count"] == nil)
    }

    @Test("a rule is part of every question, also of one by key, and of a search")
    func rules() throws {
        let rule: [RolePermissions.Rule] = [
            .init(type: "data-object:query", field: "docs", filter: ["author": ["eq": "[$auth.user_id]"]])
        ]
        for text in [
            "{ docs { id } }", "{ docs_by_pk(id: \"7\") { id } }", "{ docs_aggregation { _rows_count } }",
            "{ docs(semantic: {query: \"x\", limit: 1}) { id } }",
        ] {
            let question = try Self.question(text, role: RolePermissions(rule))
            #expect(
                question["where"]?.description.contains(#"{"op":"eq","path":"author.name","type":"String","value":"u1"}"#) == true,
                "\(text)")
        }
        #expect(
            throws: GraphQLError.self, "what is hidden cannot be searched by",
            performing: {
                _ = try Self.question(
                    "{ docs(similarity: {name: \"vector\", vector: [1, 2], distance: Cosine, limit: 1}) { id } }",
                    role: RolePermissions([.init(type: "docs", field: "vector", isDisabled: true)]))
            })
    }

    @Test("rows of another source ask for their points by keys, at once")
    func batches() throws {
        let plan = try Self.plan("{ products { _join(fields: [\"id\"]) { docs(fields: [\"product\"]) { title loud } } } }")
        let batch = plan.statements[0].batches[0]
        let keys: [[[UInt8]]] = [[Array("1".utf8), Array("2".utf8)]]
        let questions = try batch.sql.parameters.map { try BoundParameter($0, plan.values, keys: keys) }
        guard case .points(let question)? = questions.first(where: { if case .points = $0 { true } else { false } }) else {
            Issue.record("there is no question")
            return
        }
        #expect(question["where"]?.description == #"[{"op":"keys","path":"product","type":"BigInt","value":[1,2]}]"#)
        #expect(batch.sql.text.contains("json_each") && batch.sql.text.contains("upper("))
    }
}
