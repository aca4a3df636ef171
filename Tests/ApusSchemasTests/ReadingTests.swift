import ApusGraphQL
import HugrSuiteKit
import Testing

@testable import ApusSchemas

@Suite("reading schemas")
struct ReadingTests {
    static func read(
        _ text: String, as kind: SourceDescription.Kind = .database(.postgreSQL), prefix: String = "",
        beside others: DataModel = DataModel()
    ) throws -> DataModel {
        let source = SourceDescription(name: "x", kind: kind, prefix: prefix)
        let schema = try SchemaReader.read([SchemaFile(name: "a.graphql", text: text)], of: source, beside: others)
        return try DataModel(joining: [schema])
    }

    /// What is wrong with a schema, joined.
    static func problems(_ text: String, as kind: SourceDescription.Kind = .database(.postgreSQL)) -> [String] {
        do {
            _ = try read(text, as: kind)
            return []
        } catch let problems as SchemaProblems {
            return problems.problems.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }

    @Test("tables, keys, columns and relations of the suite's store")
    func store() throws {
        let model = try DataModel(joining: [try Fixtures.read("pg_store", .database(.postgreSQL))])
        let products = try #require(model.objects["pg_store_products"])
        #expect(products.originalName == "products")
        #expect(products.module == "pg_store")
        #expect(products.primaryKey.map(\.name) == ["id"])
        #expect(products.column("created_at")?.type == .scalar(.timestamp))
        #expect(
            products.navigations.map(\.name).sorted()
                == ["category", "details", "in_price_range", "price_ranges", "product_tags"])
        let tags = try #require(products.navigation("product_tags"))
        #expect(tags.target == "pg_store_tags")
        #expect(
            tags.path
                == .junction(
                    "pg_store_product_tags", near: [.init(near: "id", far: "product_id")], far: [.init(near: "tag_id", far: "id")]))
        #expect(products.navigation("category")?.isList == false)
        #expect(model.objects["pg_store_categories"]?.navigation("children")?.target == "pg_store_categories")
        #expect(model.objects["pg_store_product_details"]?.column("specs")?.type == .structure("pg_store_ProductSpecs"))
        #expect(model.objects["pg_store_products_in_price_range"]?.arguments?.isRequired == true)
    }

    @Test("an extension adds fields to the objects of others")
    func extensions() throws {
        let model = try DataModel(joining: try Fixtures.suite())
        let items = try #require(model.objects["local_db_items"])
        #expect(items.navigation("event")?.addedBy == "ext_bridge")
        #expect(items.navigation("products_in_range")?.target == "pg_store_products_in_price_range")
        #expect(model.objects["local_db_events"]?.navigation("item")?.isList == true)
        #expect(items.navigation("event")?.isFilterable == true, "both are in one source")
        #expect(model.objects["pg_store_products"]?.navigation("matching_items")?.isFilterable == false)
        guard case .functionCall? = items.member("test_info") else { return #expect(Bool(false), "no call") }
    }

    @Test("a plain source may not extend another's type; the message is Hugr's")
    func foreignExtension() throws {
        let others = try DataModel(joining: [try Fixtures.read("local_db", .database(.duckDB))])
        let source = SourceDescription(name: "cross_plain", kind: .http, prefix: "cross_plain")
        let file = SchemaFile(name: "schema.graphql", text: try HugrSuite.schema("cross_contract"))
        do {
            _ = try SchemaReader.read([file], of: source, beside: others)
            #expect(Bool(false), "accepted")
        } catch {
            #expect(
                error.description
                    == "compile catalog \"cross_plain\": catalog schema is invalid: schema.graphql:8:13: [VALIDATE/ExtensionValidator] extend type local_db_items: it belongs to data source \"local_db\" — a regular source describes only its own data, and cross-source extensions belong to an extension source"
            )
        }
        _ = try SchemaReader.read([file], of: SourceDescription(name: "cross_ext", kind: .extension), beside: others)
    }

    @Test(
        "problems name type, field and what to do",
        arguments: [
            ("type a @table(name: \"a\") { id: Int! @pk ", "a.graphql:2:1: [VALIDATE/Syntax] Syntax Error: Expected Name, found <EOF>."),
            (
                "type a @table(name: \"a\") { id: Nope }",
                "a.graphql:1:32: [VALIDATE/DefinitionValidator] Unknown type \"Nope\"."
            ),
            (
                "type a @table(name: \"a\") { id: Int @primary }",
                "a.graphql:1:36: [VALIDATE/DefinitionValidator] Unknown directive \"@primary\"."
            ),
            (
                "type a @table(name: \"a\") { id: Int! @pk  b: Int @field_references(references_name: \"b\", field: \"id\") }",
                "a.graphql:1:1: [VALIDATE/ReferenceValidator] a: reference \"b_b\" leads to \"b\", which is no table or view; name one in references_name"
            ),
            (
                "type a @table(name: \"a\") { x: Int! @pk y: Int! @pk p: Int @field_references(references_name: \"a\") }",
                "a.graphql:1:1: [VALIDATE/ReferenceValidator] a: reference \"a_p\" does not say to which field of a, whose primary key is not one field; name it in field"
            ),
            (
                "type a @table(name: \"a\") @unique(fields: [\"z\"]) { id: Int! @pk }",
                "a.graphql:1:1: [VALIDATE/DefinitionValidator] a: @unique names the field \"z\", which is no column of it"
            ),
            (
                "type a @table(name: \"a\") { id: Int! @pk } type b @table(name: \"b\") { id: Int! @pk a: a }",
                "a.graphql:1:43: [VALIDATE/DefinitionValidator] b.a holds rows of another object; relate them with @field_references, @references or @join"
            ),
            (
                "type a @table(name: \"a\") { id: Int! @pk id_aggregation: Int up: Int @field_references(references_name: \"a\", field: \"id\", query: \"parent\", references_query: \"id\") }",
                "a.graphql:1:1: [VALIDATE/DefinitionValidator] a.id would be there twice; rename the field, or the query of a reference"
            ),
            (
                "type j @table(name: \"j\", is_m2m: true) { a: Int! @pk }",
                "a.graphql:1:1: [VALIDATE/ReferenceValidator] j: @table(is_m2m: true) needs exactly two references, to the objects that it relates"
            ),
            (
                "type a @table(name: \"a\", soft_delete: true) { id: Int! @pk }",
                "a.graphql:1:1: [VALIDATE/DefinitionValidator] a: @table(soft_delete: true) needs soft_delete_cond, true for rows that are there, and soft_delete_set"
            ),
            (
                "extend type Function { f: Int }",
                "a.graphql:1:24: [VALIDATE/DefinitionValidator] Function.f: a function needs @function(name: …), the function in the database"
            ),
        ])
    func refusals(text: String, expected: String) { #expect(Self.problems(text).first == expected) }

    @Test(
        "names that GraphQL reserves or does not have are refused where the API would have them",
        arguments: [
            ("type _a @table(name: \"_a\") { id: Int! @pk }", "", "1:1: _a: __a_aggregation; rename the type"),
            ("type a @table(name: \"a\") { id: Int! @pk }", "_p", "1:1: a: __p_a_aggregation; rename the source's prefix"),
            ("enum a { x }", "p-", "1:1: a: p-_a; rename the source's prefix"),
            ("type a @table(name: \"a\") { s: _s } type _s { x: Int }", "", "1:36: _s: __s_aggregation; rename the type"),
            (
                "type a @table(name: \"a\") { id: Int! @pk _at: Timestamp }", "",
                "1:1: a.__at_part; rename the field"
            ),
            (
                "type a @table(name: \"a\") { id: Int! @pk  b: Int @field_references(references_name: \"a\", query: \"__up\") }", "",
                "1:1: a: __up; change the query of the reference"
            ),
            (
                "type a @table(name: \"a\") @unique(fields: [\"id\"], query_suffix: \"by id\") { id: Int! @pk }", "",
                "1:1: a_by id; change the query_suffix of @unique"
            ),
            ("type a @table(name: \"a\") @module(name: \"m.__n\") { id: Int! @pk }", "", "1:1: the module \"__n\"; rename it"),
            ("extend type Function { f: Int @function(name: \"f\") @module(name: \"m n\") }", "", "1:24: the module \"m n\"; rename it"),
        ])
    func names(text: String, prefix: String, expected: String) {
        do {
            _ = try Self.read(text, prefix: prefix)
            Issue.record("accepted")
        } catch let problems as SchemaProblems {
            #expect(
                problems.problems.map {
                    $0.description.replacing(" \(APIName.refusal)", with: "").replacing("[VALIDATE/DefinitionValidator] ", with: "")
                } == ["a.graphql:\(expected)"])
        } catch { Issue.record(error) }
    }

    @Test("what begins with an underscore is a name where nothing is put before it, or a prefix is")
    func underscores() throws {
        let text = "type _a @table(name: \"_a\") { id: Int! @pk _b: Int }"
        let api = try DataAPI(of: try Self.read(text, prefix: "p"))
        #expect(api.schema.type("p__a")?.fields.map(\.name).contains("_b") == true)
        #expect(api.schema.problems().isEmpty)
    }

    @Test("places are those of the file, when a schema has several")
    func places() {
        let source = SourceDescription(name: "x", kind: .database(.sqlite))
        let files = [
            SchemaFile(name: "one.graphql", text: "type a @table(name: \"a\") {\n  id: Int! @pk\n}"),
            SchemaFile(name: "two.graphql", text: "\nextend type a {\n  b: Nope\n}"),
        ]
        do {
            _ = try SchemaReader.read(files, of: source)
            #expect(Bool(false), "accepted")
        } catch {
            #expect(error.problems.first?.place == .init(file: "two.graphql", line: 3, column: 6))
        }
    }
}
