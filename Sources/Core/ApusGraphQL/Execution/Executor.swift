public import ApusTypes

/// An object of a schema whose fields are found by code: what a management API is made of.
public protocol ObjectResolver: Sendable {
    /// The name of the object type, for fields of interface and union types.
    var typeName: String { get }

    /// The value of one field. An error becomes an error of the response at the field: a `GraphQLError`'s message and extensions, an
    /// `ApusError`'s summary and code; of others nothing is told.
    func resolve(_ field: FieldRequest) async throws -> ResolvedValue
}

public struct FieldRequest: Sendable {
    public let name: String
    /// Coerced, with defaults.
    public let arguments: JSONObject
    public let path: [GraphQLError.PathElement]
}

public indirect enum ResolvedValue: Sendable {
    case null
    /// Of a scalar or enum type.
    case leaf(JSONValue)
    case list([ResolvedValue])
    case object(any ObjectResolver)
}

/// Runs an operation over resolvers (section 6 of the specification): fields one after the other in request order, errors and nulls
/// propagated. What should run at the same time is begun by the resolvers themselves; nothing here makes a task.
public struct Executor: Sendable {
    private let operation: PreparedOperation
    private let collector: FieldCollector

    /// `variables` are coerced.
    public init(_ operation: PreparedOperation, variables: JSONObject) {
        self.operation = operation
        collector = operation.collector(variables: variables)
    }

    /// Prepares, coerces and runs: the whole of a request for a valid document.
    public static func response(
        to operation: PreparedOperation, variables inputs: JSONObject, root: any ObjectResolver
    ) async -> GraphQLResponse {
        do throws(GraphQLErrors) {
            return await Executor(operation, variables: try operation.variables(from: inputs)).run(root)
        } catch {
            return GraphQLResponse(refusing: error)
        }
    }

    public func run(_ root: any ObjectResolver) async -> GraphQLResponse {
        var log = Log()
        let fields = collector.fields(of: operation.node, on: operation.root)
        let data = await object(root, operation.root, fields, [], &log)
        return GraphQLResponse(data: data ?? .null, errors: log.errors)
    }

    /// Nil when a field that may not be null is: then the object is null itself.
    private func object(
        _ resolver: any ObjectResolver, _ type: NamedType, _ fields: [CollectedField], _ path: [GraphQLError.PathElement],
        _ log: inout Log
    ) async -> ResponseValue? {
        var members: [ResponseValue.Member] = []
        members.reserveCapacity(fields.count)
        for field in fields {
            guard let definition = collector.definition(of: field, on: type) else { continue }
            let path = path + [.key(field.responseKey)]
            let value = await self.field(field, definition, resolver, type, path, &log)
            guard let value else {
                if definition.type.isNonNull { return nil }
                members.append(.init(field.responseKey, .null))
                continue
            }
            members.append(.init(field.responseKey, value))
        }
        return .object(members)
    }

    /// Nil for null: the caller knows whether it may be.
    private func field(
        _ field: CollectedField, _ definition: FieldDefinition, _ resolver: any ObjectResolver, _ type: NamedType,
        _ path: [GraphQLError.PathElement], _ log: inout Log
    ) async -> ResponseValue? {
        do {
            if field.name == "__typename" { return .leaf(.string(type.name)) }
            let arguments = try collector.arguments(of: field, definition)
            if field.name == "__schema" || field.name == "__type" {
                return try Introspection(collector).value(of: field, definition, arguments)
            }
            let resolved = try await resolver.resolve(FieldRequest(name: field.name, arguments: arguments, path: path))
            let place = Place(field: field, name: "\(type.name).\(field.name)")
            return try await complete(resolved, definition.type, place, path, &log)
        } catch {
            log.add(error, field, path, operation.document)
            return nil
        }
    }

    private struct Place {
        var field: CollectedField
        /// `Type.field`, for messages.
        var name: String
    }

    private func complete(
        _ value: ResolvedValue, _ type: TypeReference, _ place: Place, _ path: [GraphQLError.PathElement], _ log: inout Log
    ) async throws -> ResponseValue? {
        if type.isNonNull {
            let before = log.errors.count
            if let value = try await complete(value, type.unwrapped, place, path, &log) { return value }
            // An error below has said why.
            if log.errors.count > before { return nil }
            throw GraphQLError("Cannot return null for non-nullable field \(place.name).")
        }
        if case .null = value { return nil }
        if case .leaf(.null) = value { return nil }
        if type.isList {
            guard case .list(let elements) = value else {
                throw GraphQLError("Expected Iterable, but did not find one for field \"\(place.name)\".")
            }
            return try await list(elements, type.unwrapped, place, path, &log)
        }
        let named = operation.schema.named(type)
        switch (value, named.kind.isLeaf) {
        case (.leaf(let value), true): return .leaf(try LeafValues.result(value, named))
        case (.object(let resolver), false):
            let object = try objectType(resolver, named, place)
            return await self.object(resolver, object, collector.subfields(of: place.field, on: object), path, &log)
        default: throw GraphQLError("Field \"\(place.name)\" of type \"\(named.name)\" was given a value of another kind.")
        }
    }

    private func list(
        _ elements: [ResolvedValue], _ type: TypeReference, _ place: Place, _ path: [GraphQLError.PathElement],
        _ log: inout Log
    ) async throws -> ResponseValue? {
        var values: [ResponseValue] = []
        values.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            let path = path + [.index(index)]
            do {
                let value = try await complete(element, type, place, path, &log)
                if value == nil, type.isNonNull { return nil }
                values.append(value ?? .null)
            } catch {
                log.add(error, place.field, path, operation.document)
                if type.isNonNull { return nil }
                values.append(.null)
            }
        }
        return .list(values)
    }

    private func objectType(_ resolver: any ObjectResolver, _ type: NamedType, _ place: Place) throws -> NamedType {
        guard type.kind.isAbstract else { return type }
        let name = resolver.typeName
        guard let object = operation.schema.type(name), object.kind == .object, operation.schema.isSubtype(object, of: type) else {
            throw GraphQLError(
                "Abstract type \"\(type.name)\" must resolve to one of its objects for field \"\(place.name)\", not to \"\(name)\".")
        }
        return object
    }

    /// The errors so far. Places are looked up once for each field: a list may fail a thousand times at one.
    private struct Log {
        var errors: [GraphQLError] = []
        private var places: [NodeID: SourceText.Location] = [:]

        mutating func add(
            _ error: any Error, _ field: CollectedField, _ path: [GraphQLError.PathElement], _ document: GraphQLDocument
        ) {
            var located: GraphQLError =
                switch error {
                case let error as GraphQLError: error
                case let error as ScalarProblem: GraphQLError(error.message)
                case let error as ApusError: GraphQLError(error.summary, extensions: ["code": .string(error.code.rawValue)])
                default: GraphQLError("Internal error.", extensions: ["code": "internal"])
                }
            if located.locations.isEmpty {
                for node in field.nodes where places[node] == nil { places[node] = document.location(of: node) }
                located.locations = field.nodes.compactMap { places[$0] }
            }
            located.path = located.path ?? path
            errors.append(located)
        }
    }
}

extension LeafValues {
    /// A value of a scalar or enum as responses tell it.
    static func result(_ value: JSONValue, _ type: NamedType) throws(ScalarProblem) -> JSONValue {
        if type.kind == .enumeration {
            guard let name = value.asString, type.enumValue(name) != nil else {
                throw ScalarProblem("Enum \"\(type.name)\" cannot represent value: \(Inspection.text(value))")
            }
            return value
        }
        switch (type.name, value) {
        case ("Int", .bool(let flag)): return .integer(flag ? 1 : 0)
        case ("Int", .string), ("Int", .array), ("Int", .object):
            throw ScalarProblem("Int cannot represent non-integer value: \(Inspection.text(value))")
        case ("Float", .bool(let flag)): return .integer(flag ? 1 : 0)
        case ("String", .bool), ("String", .integer), ("String", .unsigned): return .string(value.description)
        case ("String", .double(let number)): return .string(Inspection.numberText(number))
        case ("String", .array), ("String", .object): throw ScalarProblem("String cannot represent value: \(Inspection.text(value))")
        case ("Boolean", .integer(let number)): return .bool(number != 0)
        default: return try ScalarCoercion.specified[type.name]?.fromValue(value) ?? value
        }
    }
}
