import ApusGraphQL
import ApusTypes
import Testing

@Suite("GraphQL: schemas")
struct SchemaTests {
    /// In the manner of data APIs that are described by directives of their own.
    static let dialect = """
        directive @table(name: String!, is_m2m: Boolean = false) on OBJECT
        directive @pk on FIELD_DEFINITION
        directive @field_references(references_name: String!, field: String, query: String) repeatable on FIELD_DEFINITION
        directive @cache(ttl: Interval, tags: [String!]) on OBJECT | FIELD_DEFINITION | FIELD
        scalar Interval
        type Query { products(limit: Int = 2000): [products!]! }
        type products @table(name: "app.products") @cache(ttl: "10s", tags: ["p"]) {
          id: Int! @pk
          category_id: Int @field_references(references_name: "categories", field: "id") @field_references(references_name: "others")
        }
        extend type products @undeclared(args: {name: "id", n: [1, 2.5]}) { name: String }
        """

    @Test("custom directives are read from the texts, with the defaults of their definitions")
    func directives() throws {
        let document = try GraphQLDocument(parsing: Self.dialect, limits: .schema)
        #expect(document.schemaProblems().map(\.message) == ["Unknown directive \"@undeclared\"."])
        let schema = try GraphQLSchema(building: Self.dialect.replacing("@undeclared(args: {name: \"id\", n: [1, 2.5]})", with: ""))
        let products = try #require(schema.type("products"))
        let table = try #require(schema.directives(on: products, named: "table").first)
        #expect(table["name"] == "app.products" && table["is_m2m"] == false)
        #expect(schema.directives(on: products).map(\.name) == ["table", "cache"])
        #expect(schema.directives(on: products, named: "cache").first?["tags"] == ["p"])
        let references = schema.directives(on: try #require(products.field("category_id")), named: "field_references")
        #expect(references.map { $0["references_name"] } == ["categories", "others"])
        #expect(
            schema.printed(directives: true).contains("type products @table(name: \"app.products\") @cache(ttl: \"10s\", tags: [\"p\"]) {"))
        #expect(!schema.printed().contains("@table(name: \"app"))
        let again = try GraphQLSchema(building: schema.printed(directives: true))
        #expect(again.printed(directives: true) == schema.printed(directives: true))
    }

    @Test("an extension gives another schema, and leaves the first as it was")
    func extending() throws {
        let schema = try GraphQLSchema(building: "type Query { a: Int } enum E { A }")
        let text = "extend type Query { b(e: E = B): E } extend enum E { B } type Mutation { c: Int }"
        let extended = try schema.extended(by: try GraphQLDocument(parsing: text))
        #expect(extended.type("Query")?.fields.map(\.name) == ["a", "b"])
        #expect(extended.rootType(.mutation) == nil, "only a schema's own text makes a type of that name a root")
        #expect(schema.type("Query")?.fields.count == 1)
        let twice = try extended.extended(by: try GraphQLDocument(parsing: "extend schema { mutation: Mutation }"))
        #expect(twice.rootType(.mutation)?.name == "Mutation")
        #expect(throws: GraphQLErrors.self) { _ = try extended.extended(by: try GraphQLDocument(parsing: "extend type Query { b: Int }")) }
    }

    @Test(
        "types that do not fit together are told, each with its place",
        arguments: [
            ("type Query { a: [In] } input In { b: Int }", ["The type of Query.a must be Output Type but got: [In]."]),
            ("type Query { a(b: Query!): Int }", ["The type of Query.a(b:) must be Input Type but got: Query!."]),
            ("type Query { a: U } union U = Query | Int", ["Union type U can only include Object types, it cannot include Int."]),
            ("type Query { a: Int } input I { q: Query }", ["The type of I.q must be Input Type but got: Query."]),
            ("type Query implements Query { a: Int }", ["Type Query must only implement Interface types, it cannot implement Query."]),
            ("enum Query { A }", ["Query root type must be Object type, it cannot be Query."]),
            ("type Mutation { a: Int }", ["Query root type must be provided."]),
            (
                "type Query { a: Int } input A { b: B! } input B { a: A! }",
                ["Cannot reference Input Object \"A\" within itself through a series of non-null fields: \"b.a\"."]
            ),
            (
                "type Query { a: Int } type __T { a: Int }",
                ["Name \"__T\" must not begin with \"__\", which is reserved by GraphQL introspection."]
            ),
            (
                "interface I { a: Int } type Query implements I { a: String }",
                ["Interface field I.a expects type Int but Query.a is type String."]
            ),
        ])
    func problems(text: String, messages: [String]) throws {
        let problems = try GraphQLSchema(building: text).problems()
        #expect(problems.map(\.message) == messages)
        #expect(problems.allSatisfy { !$0.locations.isEmpty } || messages == ["Query root type must be provided."])
    }

    @Test("defaults are coerced, nested ones too, and a default that needs itself ends")
    func defaults() throws {
        let schema = try GraphQLSchema(
            building: """
                type Query { a(i: In = {n: 1}, l: [Int!] = 3, e: E = B, loop: Loop = {}): Int }
                input In { n: Float, m: [In!] = [{n: 2}] } enum E { A B } input Loop { again: Loop = {} n: Int = 7 }
                """)
        let field = try #require(schema.type("Query")?.field("a"))
        let values = field.arguments.map { schema.defaultValue(of: $0) }
        #expect(values[1] == [3] && values[2] == "B")
        #expect(values[3]?["n"] == 7)
        #expect(schema.printed().contains("l: [Int!] = [3], e: E = B"))
    }

    @Test("a type in 32 wrappers is a type, one in more is refused")
    func wrappers() throws {
        func text(_ depth: Int) -> String {
            "type Query { a: " + String(repeating: "[", count: depth) + "Int" + String(repeating: "!]", count: depth) + " }"
        }
        let schema = try GraphQLSchema(building: text(16))
        #expect(schema.printed().contains(String(repeating: "!]", count: 16)))
        #expect(throws: GraphQLErrors.self) { _ = try GraphQLSchema(building: text(17)) }
    }
}
