internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// What is selected from an object: columns and their places in the reply.
extension StatementBuilder {
    mutating func object(_ fields: [CollectedField], _ type: NamedType, _ scope: Scope) throws(GraphQLError) -> Shape {
        .object(try members(fields, type, scope), presence: nil)
    }

    mutating func members(_ fields: [CollectedField], _ type: NamedType, _ scope: Scope) throws(GraphQLError) -> [Shape.Member] {
        var members: [Shape.Member] = []
        for field in fields {
            let shape: Shape
            if field.name == "__typename" {
                shape = .text(JSONText.quoted(type.name))
            } else {
                do throws(GraphQLError) {
                    shape = try self.field(try request.use(of: field, on: type), scope)
                } catch {
                    throw request.located(error, field, [field.responseKey])
                }
            }
            members.append(Shape.Member(field.responseKey, shape))
        }
        return members
    }

    private mutating func field(_ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Shape {
        if case .derived(_, let field)? = scope.object.member(use.field.name) { try request.allow(field.name, of: scope.object) }
        switch scope.object.member(use.field.name) {
        case .field(let field):
            let shape = try value(column(field, of: scope), field.type, use)
            guard case .value(let column, var format) = shape, format.scalar == .geometry else { return shape }
            format.srid = Int32(truncatingIfNeeded: use.given("to")?.asInteger ?? Int64(field.srid ?? 0))
            return .value(column: column, format)
        case .derived(let derived, let field):
            return .value(column: select.column(try self.derived(derived, field, use, scope)), derived.scalar.format)
        case .navigation(let navigation):
            return navigation.isList ? try list(navigation, use, scope) : try one(navigation, use, scope)
        case .aggregation(let navigation): return try aggregation(navigation, use, scope)
        case .buckets(let navigation): return try buckets(navigation, use, scope)
        case .join, .spatialJoin: return try adHoc(use, scope)
        case .functionCall(let field): return try call(for: field, use, scope)
        case .queryDistance: throw GraphQLError("Field \"\(use.field.name)\" needs an embedding model.")
        case nil: throw GraphQLError("Cannot query field \"\(use.field.name)\" on type \"\(scope.object.name)\".")
        }
    }

    // MARK: Values

    /// A value as the reply has it.
    mutating func value(_ expression: SQLFragment, _ type: DataType, _ use: FieldUse) throws(GraphQLError) -> Shape {
        switch type {
        case .scalar(let scalar):
            let (value, format) = try scalarValue(expression, scalar, use)
            return .value(column: select.column(value), format)
        case .enumeration: return .value(column: select.column(expression), .text)
        case .structure(let name): return try structure(name, expression, [], use.fields, use.type)
        case .list(.structure(let name)): return .value(column: select.column(try structures(name, expression, use.fields)), .json)
        case .list(let element):
            let list: SQLFragment = engine == .sqlite ? expression : "to_json(\(expression))"
            return .value(column: select.column(list), element.elementFormat.list)
        case .object: throw GraphQLError("\"\(use.field.name)\" is no value.")
        }
    }

    /// With what the field's arguments make of it.
    func scalarValue(
        _ expression: SQLFragment, _ scalar: ScalarType, _ use: FieldUse
    ) throws(GraphQLError) -> (SQLFragment, ValueFormat) {
        switch scalar {
        case .date, .dateTime, .timestamp:
            var value = expression
            if let unit = use.given("bucket")?.asString { value = try engine.bucket(value, unit, of: scalar) }
            if let interval = use.given("bucket_interval") {
                guard engine != .sqlite else { throw GraphQLError("SQLite has no buckets of an interval.") }
                value = "date_bin(\(.value(interval, as: .interval)), \(value), '2000-01-01')"
            }
            return (value, scalar.format)
        case .json:
            guard let wanted = use.given("struct")?.asObject else { return (expression, .json) }
            return (projected(expression, wanted.map(\.key)), .json)
        case .geometry: return ("ST_AsGeoJSON(\(try geometry(expression, use)))", .geometry)
        default: return (expression, scalar.format)
        }
    }

    /// The named members of JSON alone.
    private func projected(_ json: SQLFragment, _ names: [String]) -> SQLFragment {
        let object: SQLFragment = engine == .postgreSQL ? "json_build_object" : "json_object"
        let members = names.map { "\(.value(.string($0), as: .string)), \(engine.member($0, of: json))" as SQLFragment }
        return "CASE WHEN \(json) IS NOT NULL THEN \(object)(\(members.joined(separator: ", "))) END"
    }

    private func geometry(_ expression: SQLFragment, _ use: FieldUse) throws(GraphQLError) -> SQLFragment {
        var value = expression
        func number(_ name: String, as type: ScalarType) throws(GraphQLError) -> SQLFragment {
            guard let number = use.given(name) else { throw GraphQLError("This transform needs argument \"\(name)\".") }
            return .value(number, as: type)
        }
        if let from = use.given("from") { value = "ST_SetSRID(\(value), \(.value(from, as: .int)))" }
        for transform in use.given("transforms")?.asArray?.compactMap(\.asString) ?? [] {
            value =
                switch transform {
                case "Transform": "ST_Transform(\(value), \(try number("to", as: .int)))"
                case "Buffer": "ST_Buffer(\(value), \(try number("buffer", as: .float)))"
                case "Simplify": "ST_Simplify(\(value), \(try number("simplify_factor", as: .float)))"
                case "SimplifyTopology": "ST_SimplifyPreserveTopology(\(value), \(try number("simplify_factor", as: .float)))"
                case "Centroid": "ST_Centroid(\(value))"
                case "StartPoint": "ST_StartPoint(\(value))"
                case "EndPoint": "ST_EndPoint(\(value))"
                case "Reverse": "ST_Reverse(\(value))"
                case "FlipCoordinates": "ST_FlipCoordinates(\(value))"
                case "ConvexHull": "ST_ConvexHull(\(value))"
                default: "ST_Envelope(\(value))"
                }
        }
        return value
    }

    func derived(_ derived: DerivedField, _ field: DataField, _ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> SQLFragment {
        let expression = column(field, of: scope)
        switch derived {
        case .part:
            let part = try engine.part(use.arguments["extract"]?.asString ?? "", of: expression)
            return use.given("extract_divide").map { "\(part) / \(.value($0, as: .bigInt))" } ?? part
        case .measurement:
            var value = expression
            if use.given("transform")?.asBool == true {
                if let from = use.given("from") { value = "ST_SetSRID(\(value), \(.value(from, as: .int)))" }
                if let to = use.given("to") { value = "ST_Transform(\(value), \(.value(to, as: .int)))" }
            }
            return switch use.arguments["type"]?.asString {
            case "Area": "ST_Area(\(value))"
            case "AreaSpheroid": "ST_Area((\(value))::geography)"
            case "Length": "ST_Length(\(value))"
            case "LengthSpheroid": "ST_Length((\(value))::geography)"
            case "Perimeter": "ST_Perimeter(\(value))"
            default: "ST_Perimeter((\(value))::geography)"
            }
        case .distance:
            let vector: SQLFragment = .value(use.arguments["vector"] ?? .known(.null), as: .vector, form: .json)
            return switch use.arguments["distance"]?.asString {
            case "L2": "\(expression) <-> \(vector)"
            case "Cosine": "\(expression) <=> \(vector)"
            default: "\(expression) <#> \(vector)"
            }
        }
    }

    // MARK: Structs

    /// A struct in a column of JSON: each selected member is a column of the result.
    private mutating func structure(
        _ name: String, _ expression: SQLFragment, _ path: [String], _ fields: [CollectedField], _ type: NamedType
    ) throws(GraphQLError) -> Shape {
        guard let structure = request.model.structures[name] else { throw GraphQLError("There is no struct \"\(name)\".") }
        var members: [Shape.Member] = []
        for field in fields {
            try request.allow(field.name, on: type.name)
            guard let member = structure.field(field.name) else {
                members.append(Shape.Member(field.responseKey, .text(JSONText.quoted(type.name))))
                continue
            }
            let inner = path + [member.storedColumn ?? member.name]
            let shape: Shape
            switch member.type {
            case .scalar(let scalar) where scalar != .json:
                shape = .value(column: select.column(structText(expression, inner, scalar)), scalar.format)
            case .structure(let nested):
                let use = try request.use(of: field, on: type)
                shape = try self.structure(nested, expression, inner, use.fields, use.type)
            default: shape = .value(column: select.column(structJSON(expression, inner)), .json)
            }
            members.append(Shape.Member(field.responseKey, shape))
        }
        // JSON has a null of its own.
        let presence: SQLFragment
        switch engine {
        case .postgreSQL: presence = "nullif(jsonb_typeof(\(structJSON(expression, path))), 'null')"
        case .sqlite: presence = "nullif(json_type(\(structJSON(expression, path))), 'null')"
        case .duckDB: presence = "CASE WHEN \(structJSON(expression, path)) IS NOT NULL THEN 1 END"
        }
        return .object(members, presence: select.column(presence))
    }

    func structJSON(_ expression: SQLFragment, _ path: [String]) -> SQLFragment {
        let names = path.map { JSONValue.string($0) }
        switch engine {
        case .postgreSQL: return path.isEmpty ? "(\(expression))::jsonb" : "(\(expression))::jsonb #> \(.values(names))::text[]"
        case .sqlite:
            return path.isEmpty ? expression : "\(expression) -> \(.value(.string("$" + names.map { ".\($0)" }.joined())))"
        // The name must be part of the statement: the engine computes the type from it.
        case .duckDB: return path.reduce(expression) { "(\($0)).\(.identifier($1))" }
        }
    }

    /// A member of a struct as a value of its scalar.
    func structText(_ expression: SQLFragment, _ path: [String], _ scalar: ScalarType) -> SQLFragment {
        switch engine {
        case .postgreSQL: break
        case .sqlite:
            return "json_extract(\(expression), \(.value(.string("$" + path.map { ".\(JSONValue.string($0))" }.joined()))))"
        case .duckDB: return structJSON(expression, path)
        }
        let text: SQLFragment = "(\(expression))::jsonb #>> \(.values(path.map { .string($0) }))::text[]"
        return scalar == .string ? text : engine.cast(text, to: scalar)
    }

    /// A list of structs: the database makes the JSON, with the selected members alone.
    private func structures(_ name: String, _ expression: SQLFragment, _ fields: [CollectedField]) throws(GraphQLError) -> SQLFragment {
        guard let structure = request.model.structures[name] else { throw GraphQLError("There is no struct \"\(name)\".") }
        guard engine != .duckDB else { throw GraphQLError("Lists of structs are not read from DuckDB yet.") }
        let members = fields.map { field -> SQLFragment in
            let member = structure.field(field.name)
            let key: SQLFragment = .value(.string(field.responseKey), as: .string)
            guard let member else { return "\(key), \(.value(.string(name), as: .string))" }
            return "\(key), \(engine.member(member.storedColumn ?? member.name, of: "\"e\".value"))"
        }.joined(separator: ", ")
        return engine == .sqlite
            ? "(SELECT json_group_array(json_object(\(members))) FROM json_each(\(expression)) AS \"e\")"
            : "(SELECT json_agg(json_build_object(\(members))) FROM jsonb_array_elements((\(expression))::jsonb) AS \"e\"(value))"
    }
}

extension DataType {
    /// How its text is written as an element of a list.
    var elementFormat: ValueFormat {
        switch self {
        case .scalar(let scalar): scalar.format
        case .enumeration: .text
        case .list(let element): element.elementFormat
        case .structure, .object: .json
        }
    }
}

extension ScalarType {
    /// How its text in a result is written.
    var format: ValueFormat {
        switch self {
        case .int: .int32
        case .bigInt: .integer
        case .float: .number
        case .boolean: .boolean
        case .json: .json
        case .geometry: .geometry
        case .date: .date
        case .dateTime: .dateTime
        case .timestamp: .timestamp
        case .time: .time
        case .interval: .interval
        case .h3Cell: .h3Cell
        case .string, .intRange, .bigIntRange, .timestampRange, .vector: .text
        }
    }
}
