import ApusGraphQL
import Testing

@testable import ApusSchemas

/// The generated API against schemas that Hugr generated from the same sources (`Fixtures/Generated`): names, types, arguments, defaults,
/// descriptions and deprecations of all that is recorded. The directives of the recordings are marks of its compiler, which no client sees.
@Suite("generated schema")
struct GeneratedSchemaTests {
    /// What differs, and why.
    static let accepted: [String: String] = {
        var accepted: [String: String] = [:]
        for field in ["_function", "_dataSources", "_dataSource", "_types", "_search"] {
            accepted["missing field Query.\(field)"] = "introspection of the logical model is a service's, and comes with it"
        }
        for name in ["Subscription.query", "_module_ai_subscription.note_stream", "Subscription.heartbeat", "Subscription.ai"] {
            accepted["missing field \(name)"] = "no data source answers it yet"
        }
        for name in ["Subscription", "_module_ai_subscription"] {
            accepted["missing type \(name)"] = "no data source answers it yet"
        }
        for name in ["vector", "structs", "unique", "joinview"] {
            accepted["\(name): missing field Query.h3"] = "where there is no geometry, there are no cells"
        }
        accepted["vector: missing field Query.function"] = "where there are no functions, there is no root for them"
        accepted["description of JSON"] = "scalars are described by the reference, in its own words"
        accepted["description of Geometry"] = accepted["description of JSON"]
        return accepted
    }()

    /// What is beside Hugr's: cursors, insertions of several rows and over rows that are there.
    static func isAddition(field name: String) -> Bool { name.hasSuffix("_edges") || name.hasPrefix("insert_many_") }
    static let addedArguments: Set = ["on_conflict"]

    /// Descriptions that would not be true here.
    static let rewordings = [
        (
            recorded:
                "Search for semantic similarity, works only for single object queries. Uses the OpenAI API to compute embeddings and find the most relevant object.",
            ours: "Search for semantic similarity"
        )
    ]

    @Test("what is generated is what Hugr generates", arguments: ["harness", "structs", "unique", "vector", "joinview"])
    func matchesRecording(name: String) throws {
        let api = try Fixtures.recorded(name)
        var text = try Fixtures.text("Generated/\(name).graphql")
        for (recorded, ours) in Self.rewordings { text = text.replacing(recorded, with: ours) }
        let recorded = RecordedSchema(try GraphQLDocument(parsing: text, limits: .schema))
        #expect(recorded.types.count > 2, "the recording was not read; the test would prove nothing")
        let differences = recorded.differences(from: api.schema)
        #expect(differences.filter { Self.accepted[$0] == nil && Self.accepted["\(name): \($0)"] == nil } == [])
    }

    @Test("the schema is sound, for the suite's four sources together")
    func isSound() throws {
        let api = try DataAPI(of: try DataModel(joining: try Fixtures.suite()))
        #expect(api.schema.problems().map(\.message) == [])
        #expect(api.meaning(of: "products_by_pk", on: "_module_pg_store_query") == .one("pg_store_products", key: ["id"]))
        #expect(api.schema.type("pg_store_products")?.field("matching_items") != nil)
        #expect(api.meaning(of: "insert_many_products", on: "_module_pg_store_mutation") == .insertMany("pg_store_products"))
        #expect(api.schema.type("pg_store_products_constraint")?.enumValues.map(\.name) == ["by_pk"])
        #expect(api.meaning(of: "products_edges", on: "_module_pg_store_query") == .edges("pg_store_products"))
        #expect(api.meaning(of: "product_tags_edges", on: "_module_pg_store_query") == nil)
        #expect(api.schema.type("local_db_events")?.field("item_aggregation") != nil)
        #expect(api.schema.type("_module_rest_api_test_function")?.field("test_get") != nil)
    }
}

/// A schema as it was recorded: definitions alone, some of whose types are not in the recording.
struct RecordedSchema {
    let document: GraphQLDocument
    let types: [NodeID]

    init(_ document: GraphQLDocument) {
        self.document = document
        types = document.definitions.filter { document.kind(of: $0).isTypeDefinition }
    }

    /// What the schema does not have of the recording, or has otherwise.
    func differences(from schema: GraphQLSchema) -> [String] {
        types.flatMap { node -> [String] in
            let name = document.name(of: node) ?? ""
            guard let type = schema.type(name) else { return ["missing type \(name)"] }
            var differences: [String] = []
            if document.description(of: node) != type.description { differences.append("description of \(name)") }
            var seen: Set<String> = []
            for field in document.children(of: node).of(.fieldDefinition) {
                let fieldName = document.name(of: field) ?? ""
                seen.insert(fieldName)
                guard let found = type.field(fieldName) else {
                    differences.append("missing field \(name).\(fieldName)")
                    continue
                }
                let expected = text(field)
                let actual = text(found, schema)
                if expected != actual { differences.append("\(name).\(fieldName): \(expected) is \(actual)") }
            }
            for field in document.children(of: node).of(.inputValueDefinition) {
                let fieldName = document.name(of: field) ?? ""
                seen.insert(fieldName)
                guard let found = type.inputField(fieldName) else {
                    differences.append("missing field \(name).\(fieldName)")
                    continue
                }
                if input(field) != input(found, schema) {
                    differences.append("\(name).\(fieldName): \(input(field)) is \(input(found, schema))")
                }
            }
            let more = (type.fields.map(\.name) + type.inputFields.map(\.name))
                .filter { !seen.contains($0) && !GeneratedSchemaTests.isAddition(field: $0) }
            return differences + more.map { "unexpected field \(name).\($0)" }
        }
    }

    private func text(_ field: NodeID) -> String {
        let arguments = document.children(of: field).of(.inputValueDefinition).map(input).sorted()
        return "(\(arguments.joined(separator: ", "))): \(document.printed(document.type(of: field)))" + deprecated(field)
            + (document.description(of: field).map { " // \($0)" } ?? "")
    }

    private func text(_ field: FieldDefinition, _ schema: GraphQLSchema) -> String {
        let arguments = field.arguments.filter { !GeneratedSchemaTests.addedArguments.contains($0.name) }.map { input($0, schema) }.sorted()
        return
            "(\(arguments.joined(separator: ", "))): \(schema.text(field.type))\(field.deprecationReason.map { " deprecated: \($0)" } ?? "")"
            + (field.description.map { " // \($0)" } ?? "")
    }

    private func input(_ node: NodeID) -> String {
        let value = document.defaultValue(of: node).map { " = \(document.printed($0))" } ?? ""
        return "\(document.name(of: node) ?? ""): \(document.printed(document.type(of: node)))\(value)" + deprecated(node)
            + (document.description(of: node).map { " // \($0)" } ?? "")
    }

    private func input(_ input: InputValue, _ schema: GraphQLSchema) -> String {
        let value = schema.defaultValue(of: input).flatMap { schema.literalText($0, as: input.type) }.map { " = \($0)" } ?? ""
        return "\(input.name): \(schema.text(input.type))\(value)\(input.deprecationReason.map { " deprecated: \($0)" } ?? "")"
            + (input.description.map { " // \($0)" } ?? "")
    }

    private func deprecated(_ node: NodeID) -> String {
        guard let directive = document.directives(of: node).first(where: { document.name(of: $0) == "deprecated" }) else { return "" }
        let reason = document.arguments(of: directive).first.map { document.string(of: document.value(of: $0)) }
        return " deprecated: \(reason ?? "No longer supported")"
    }
}
