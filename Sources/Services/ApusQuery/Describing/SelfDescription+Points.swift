internal import ApusSchemas
internal import ApusTypes
internal import ApusVectorIndex

/// Collections as tables: fields of payloads by their declared indexes, others by what the first points hold.
extension SelfDescription {
    /// Points that are looked at.
    static let sample = 256
    /// Fields that a table gets at most.
    static let mostFields = 200

    /// Of the collections that the path names, or of all.
    static func file(of collections: any PointCollections, _ definition: SourceDefinition, deadline: Instant) async throws -> SchemaFile {
        let written = definedTypes(definition.files)
        var names = definition.path.split(separator: ",").map { $0.filter { $0 != " " } }
        if names.isEmpty { names = try await collections.names(deadline: deadline) }
        var text = ""
        for name in names where !written.contains(DescribedSchema.word(name)) {
            let facts = try await collections.facts(of: name, deadline: deadline)
            let points = try await collections.points(name, matching: .everything, limit: sample, .payload, deadline: deadline)
            text += DescribedCollection(facts, points).text
        }
        return SchemaFile(name: "\(definition.name) (as its collections describe themselves)", text: text)
    }
}

/// A collection as a schema's text. A pure function.
struct DescribedCollection {
    private let facts: CollectionFacts
    private let idType: String
    /// Path, type.
    private var payload: [(path: String, type: String)] = []

    private static let reserved: Set = ["id", "payload", "vector", "_score"]

    init(_ facts: CollectionFacts, _ points: [FoundPoint]) {
        self.facts = facts
        let hasNumbers =
            !points.isEmpty && points.allSatisfy { if case .integer(let number) = $0.id { number <= Int64.max } else { false } }
        idType = hasNumbers ? "BigInt" : "String"
        var seen: [String: FieldKind] = [:]
        var order: [String] = []
        for point in points {
            guard let payload = point.payload, case .object(let members)? = try? JSONValue(parsing: payload) else { continue }
            for (name, value) in members where !value.isNull {
                if seen[name] == nil { order.append(name) }
                seen[name] = FieldKind(value).joined(with: seen[name])
            }
            for path in facts.indexes.keys where path.contains(".") {
                var value: JSONValue? = .object(members)
                for name in path.split(separator: ".") { value = value?[String(name)] }
                if let value, !value.isNull { seen[path] = FieldKind(value).joined(with: seen[path]) }
            }
        }
        for (path, index) in facts.indexes.sorted(by: { $0.key < $1.key }) {
            guard let type = FieldKind.type(ofIndex: index) else { continue }
            payload.append((path, seen[path]?.isList == true ? "[\(type)]" : type))
        }
        for name in order.sorted() where facts.indexes[name] == nil && !name.contains(".") {
            payload.append((name, seen[name]?.type ?? "JSON"))
        }
    }

    var text: String {
        var taken = Self.reserved
        var lines = [
            "  id: \(idType)! @pk", "  \"How near it is, where it was searched for\"\n  _score: Float",
            "  \"All that it holds\"\n  payload: JSON",
        ]
        for field in facts.fields {
            let name = field.name.isEmpty ? "vector" : DescribedSchema.word(field.name)
            taken.insert(name)
            let source = name == field.column ? "" : " @field_source(field: \(DescribedSchema.quoted(field.column)))"
            lines.append(
                "  \"\(field.metric.distance ?? field.metric.rawValue)\"\n  \(name): Vector @dim(len: \(field.dimension))\(source)")
        }
        for (path, type) in payload.prefix(SelfDescription.mostFields) {
            let name = DescribedSchema.word(path)
            // What is called like something else is in the payload.
            guard taken.insert(name).inserted, !Self.reserved.contains(path) else { continue }
            lines.append("  \(name): \(type)" + (name == path ? "" : " @field_source(field: \(DescribedSchema.quoted(path)))"))
        }
        var head = "type \(DescribedSchema.word(facts.name)) @table(name: \(DescribedSchema.quoted(facts.name)))"
        if let provider = facts.provider, let field = facts.fields.first(where: { $0.name == facts.providerField }) {
            let vector = field.name.isEmpty ? "vector" : DescribedSchema.word(field.name)
            let distance = field.metric.distance ?? "L2"
            head += " @embeddings(model: \(DescribedSchema.quoted(provider)), vector: \"\(vector)\", distance: \(distance))"
        }
        return DescribedSchema.description(facts.description, indent: "") + head + " {\n" + lines.joined(separator: "\n") + "\n}\n"
    }
}

/// What values of a payload have in common.
private struct FieldKind {
    /// Of the dialect; JSON where values differ.
    private var element: String?
    private(set) var isList = false

    init(_ value: JSONValue) {
        switch value {
        case .string: element = "String"
        case .integer: element = "BigInt"
        case .double: element = "Float"
        case .bool: element = "Boolean"
        case .unsigned, .object: element = "JSON"
        case .null: break
        case .array(let elements):
            let kinds = elements.filter { !$0.isNull }.map(FieldKind.init)
            self = kinds.dropFirst().reduce(kinds.first ?? FieldKind(.null)) { $1.joined(with: $0) }
            if isList || element == "Boolean" { element = "JSON" }
            isList = true
        }
    }

    func joined(with other: FieldKind?) -> FieldKind {
        guard let other else { return self }
        var joined = self
        joined.isList = isList || other.isList
        switch (element, other.element) {
        case (let one, nil): joined.element = one
        case (nil, let other): joined.element = other
        case (let one, let two) where one == two: break
        case ("BigInt", "Float"), ("Float", "BigInt"): joined.element = "Float"
        default: joined.element = "JSON"
        }
        return joined
    }

    var type: String {
        guard let element, element != "JSON" else { return "JSON" }
        return isList ? "[\(element)]" : element
    }

    static func type(ofIndex kind: String) -> String? {
        switch kind {
        case "keyword", "uuid", "text": "String"
        case "integer": "BigInt"
        case "float": "Float"
        case "bool": "Boolean"
        case "datetime": "Timestamp"
        case "geo": "JSON"
        default: nil
        }
    }
}
