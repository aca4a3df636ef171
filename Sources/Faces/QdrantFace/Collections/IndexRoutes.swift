internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// Payload indexes are declared and told back with how many points have a value of their type; the next segments have them.
extension QdrantFace {
    private static let types: Set<String> = ["keyword", "integer", "float", "bool", "geo", "datetime", "text", "uuid"]

    func mountIndexes(on routes: inout Routes) {
        routes.on(.put, "/collections/{collection}/index", needs: .writer) { request in
            let name = try name(request)
            let root = try await body(of: request)
            let path = try root.required("field_name").expectPath()
            let schema = try root.member("field_schema") ?? root.required("field_type")
            let type = try schema.string ?? schema.expectObject().required("type").expectString()
            guard Self.types.contains(type) else {
                throw ApusError.format(
                    schema.path, "unknown variant `\(type)`, expected one of \(Self.types.sorted().joined(separator: ", "))")
            }
            let definition = schema.string.map { JSONValue.object(["type": .string($0)]) } ?? schema.value.withoutNulls
            try await vectors.setPayloadIndex(
                on: path.description, of: name, to: definition.description, deadline: request.deadline)
            return .result(Self.updateResult(request))
        }
        routes.on(.delete, "/collections/{collection}/index/{field}", needs: .writer) { request in
            let field: String = try request.parameter("field")
            try await vectors.setPayloadIndex(on: field, of: try name(request), to: nil, deadline: request.deadline)
            return .result(Self.updateResult(request))
        }
    }

    /// `{field: {"data_type", "params"?, "points"}}`.
    func payloadSchema(of name: CollectionName, _ request: Request) async throws -> JSONObject {
        var schema = JSONObject()
        for (field, text) in try await vectors.payloadIndexes(of: name, deadline: request.deadline).sorted(by: { $0.key < $1.key }) {
            let definition = try JSONValue(parsing: Array(text.utf8))
            guard let type = definition["type"]?.asString else { continue }
            var points = 0
            // One of more steps than a path may have is declared in vain.
            if let path = try? PayloadPath(jsonPath: field) {
                points = try await vectors.countPoints(
                    name, with: PayloadKind(rawValue: type) ?? .text, at: path, deadline: request.deadline)
            }
            var entry: JSONObject = ["data_type": .string(type), "points": .integer(Int64(points))]
            if (definition.asObject?.count ?? 0) > 1 { entry["params"] = definition }
            schema[field] = .object(entry)
        }
        return schema
    }
}
