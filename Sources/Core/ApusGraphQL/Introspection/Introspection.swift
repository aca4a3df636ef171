public import ApusTypes

/// Answers `__schema` and `__type` from the schema (section 4 of the specification), written as JSON right away: a schema of thousands of
/// types has hundreds of thousands of objects to tell.
public struct Introspection: Sendable {
    /// Types lead to fields and fields to types: an answer may grow far beyond the schema.
    public static let mostBytes = 128 << 20

    private let collector: FieldCollector
    private let hidden: HiddenParts
    private var schema: GraphQLSchema { collector.schema }

    public init(_ collector: FieldCollector, hidden: HiddenParts = HiddenParts()) {
        self.collector = collector
        self.hidden = hidden
    }

    /// The value of a `__schema` or `__type` field of the query type; nil for the null of an unknown type.
    public func value(
        of field: CollectedField, _ definition: FieldDefinition, _ arguments: JSONObject
    ) throws(GraphQLError) -> ResponseValue? {
        let selections = try self.selections(field, definition.type)
        let writer = IntrospectionWriter(schema: schema, hidden: hidden)
        var json = JSONWriter()
        if field.name == "__schema" {
            try writer.schema(selections, &json)
        } else {
            guard let type = arguments["name"]?.asString.flatMap({ schema.type($0) }), !hidden.types.contains(type.name) else { return nil }
            try writer.type(TypeReference(type.id), selections, &json)
        }
        return .written(json.bytes)
    }

    /// The selections below a field, collected once for all objects of its type: introspection's own types are never abstract.
    private func selections(_ field: CollectedField, _ type: TypeReference) throws(GraphQLError) -> [Selection] {
        let object = schema.named(type)
        guard object.kind == .object else { return [] }
        var selections: [Selection] = []
        for subfield in collector.subfields(of: field, on: object) {
            guard let definition = collector.definition(of: subfield, on: object) else { continue }
            let arguments = try collector.arguments(of: subfield, definition)
            selections.append(
                Selection(
                    key: subfield.responseKey, name: subfield.name, typeName: object.name,
                    includesDeprecated: arguments["includeDeprecated"]?.asBool == true,
                    selections: try self.selections(subfield, definition.type)))
        }
        return selections
    }

    struct Selection: Sendable {
        var key: String
        var name: String
        var typeName: String
        var includesDeprecated: Bool
        var selections: [Selection]
    }
}
