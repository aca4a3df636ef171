internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// What an operation asks for of a value that a source tells as JSON, and the type that it is declared to have.
struct SelectedValue: Sendable {
    /// Nil where nobody declares it: what this program makes itself.
    private let type: DataType?
    /// Of an object.
    private let members: [Member]

    private struct Member: Sendable {
        var responseKey: String
        /// The key in the JSON.
        var stored: String
        var isNonNull: Bool
        var value: SelectedValue
        /// Of `__typename`: the type's name.
        var text: String?
    }

    /// A value that is not of its type.
    struct Mismatch: Error {
        /// Response keys with dots between them.
        var place: String
        var type: String
    }

    private init(type: DataType?, members: [Member]) {
        self.type = type
        self.members = members
    }

    /// `fields` are asked for of a value of `named`, which is `type`, lists of which are.
    init(_ fields: [CollectedField], on named: NamedType, as type: DataType?, _ request: RequestContext) throws(GraphQLError) {
        let structure: Structure? =
            if case .structure(let name)? = type?.element { request.model.structures[name] } else { nil }
        var members: [Member] = []
        for field in fields {
            try request.allow(field.name, on: named.name)
            let declared = structure?.field(field.name)
            var value = SelectedValue(type: declared?.type, members: [])
            if let below = request.type(of: field, on: named), below.kind.isComposite {
                value = try SelectedValue(request.collector.subfields(of: field, on: below), on: below, as: declared?.type, request)
            }
            members.append(
                Member(
                    responseKey: field.responseKey, stored: declared?.storedColumn ?? field.name, isNonNull: declared?.isNonNull ?? false,
                    value: value, text: field.name == "__typename" ? named.name : nil))
        }
        self.init(type: type, members: members)
    }

    func picked(from value: JSONValue, at place: String) throws(Mismatch) -> JSONValue { try picked(value, type, place) }

    private func picked(_ value: JSONValue, _ type: DataType?, _ place: String) throws(Mismatch) -> JSONValue {
        switch (type, value) {
        case (_, .null): return .null
        case (.list(let element)?, .array(let elements)): return try list(elements, element, place)
        case (nil, .array(let elements)): return try list(elements, nil, place)
        case (.scalar(let scalar)?, _):
            guard let fitting = scalar.fitting(value) else { throw Mismatch(place: place, type: scalar.name) }
            return fitting
        case (.enumeration?, .string): return value
        case (.structure?, .object(let object)), (.object?, .object(let object)),
            (nil, .object(let object)) where !members.isEmpty:
            return .object(JSONObject(try members(of: object, place)))
        case (nil, _): return value
        case (let type?, _): throw Mismatch(place: place, type: type.text)
        }
    }

    private func list(_ elements: [JSONValue], _ type: DataType?, _ place: String) throws(Mismatch) -> JSONValue {
        var picked: [JSONValue] = []
        picked.reserveCapacity(elements.count)
        for element in elements { picked.append(try self.picked(element, type, place)) }
        return .array(picked)
    }

    private func members(of object: JSONObject, _ place: String) throws(Mismatch) -> [(String, JSONValue)] {
        var picked: [(String, JSONValue)] = []
        for member in members {
            if let text = member.text {
                picked.append((member.responseKey, .string(text)))
                continue
            }
            let inner = place.isEmpty ? member.responseKey : "\(place).\(member.responseKey)"
            let value = try member.value.picked(from: object[member.stored] ?? .null, at: inner)
            if value.isNull, member.isNonNull { throw Mismatch(place: inner, type: "value, which its type promises") }
            picked.append((member.responseKey, value))
        }
        return picked
    }
}

extension ScalarType {
    /// A value of JSON as one of this scalar; nil where it is none. Services write numbers as texts, and texts without quotes.
    fileprivate func fitting(_ value: JSONValue) -> JSONValue? {
        switch self {
        case .int, .bigInt:
            let number: Int64? =
                switch value {
                case .integer(let number): number
                case .double(let number): Int64(exactly: number)
                case .string(let text): Int64(text)
                default: nil
                }
            return number.flatMap { self == .bigInt || Int32(exactly: $0) != nil ? .integer($0) : nil }
        case .float:
            if case .string(let text) = value { return Double(text).flatMap { $0.isFinite ? .double($0) : nil } }
            return value.asDouble == nil ? nil : value
        case .boolean:
            switch value {
            case .bool: return value
            case .string("true"): return true
            case .string("false"): return false
            default: return nil
            }
        case .json, .geometry: return value
        case .vector where value.asArray != nil: return .string(value.description)
        case .string where value.asArray != nil || value.asObject != nil: return .string(value.description)
        case .string, .h3Cell:
            if case .string = value { return value }
            return value.asArray == nil && value.asObject == nil ? .string(value.description) : nil
        case .date, .time, .dateTime, .timestamp, .interval, .intRange, .bigIntRange, .timestampRange, .vector:
            return value.asString == nil ? nil : value
        }
    }
}
