internal import ApusTypes
internal import ApusVectorIndex

/// Conditions of the API as those of the vector engine.
///
/// The API's are SQL's: a condition on a value that is not there is neither true nor false, and neither is its negation. The engine knows true
/// and false only. So each condition becomes two: when it is true, and when it is false (Codd's three-valued logic; the rest is unknown).
struct PointFilter {
    var isTrue: Filter
    var isFalse: Filter

    /// The points for which all conditions are true. Throws `request.invalid` for what the engine cannot decide, naming the field.
    static func all(_ conditions: [JSONValue]) throws(ApusError) -> Filter {
        var filters: [Filter] = []
        for condition in conditions { filters.append(try PointFilter(condition).isTrue) }
        return filters.count == 1 ? filters[0] : .all(filters)
    }

    private init(isTrue: Filter, isFalse: Filter) {
        self.isTrue = isTrue
        self.isFalse = isFalse
    }

    private init(_ condition: JSONValue) throws(ApusError) {
        let word = condition["op"]?.asString ?? ""
        guard let inner = condition["of"]?.asArray else {
            let path = condition["path"]?.asString ?? ""
            let type = condition["type"]?.asString ?? ""
            try self.init(word, path, type, condition["value"] ?? .null)
            return
        }
        var parts: [PointFilter] = []
        for part in inner { parts.append(try PointFilter(part)) }
        switch word {
        case "or": self.init(isTrue: .any(parts.map(\.isTrue)), isFalse: .all(parts.map(\.isFalse)))
        case "not": self.init(isTrue: .any(parts.map(\.isFalse)), isFalse: .all(parts.map(\.isTrue)))
        default: self.init(isTrue: .all(parts.map(\.isTrue)), isFalse: .any(parts.map(\.isFalse)))
        }
    }

    private static let nothing = Filter.any([])

    private init(_ operation: String, _ path: String, _ type: String, _ value: JSONValue) throws(ApusError) {
        // What a client leaves out is no condition by now. A null is a part of the identity that whoever asks does not have: nothing is equal to
        // it, and nothing unequal.
        if value.isNull {
            self.init(isTrue: Self.nothing, isFalse: Self.nothing)
            return
        }
        func refuse(_ why: String) -> ApusError {
            ApusError(
                .requestInvalid, "\"\(path)\" cannot be searched by \"\(operation)\": \(why)",
                context: ["field": path, "operator": operation])
        }
        if operation == "is_null" {
            let there = Self.isThere(path, type)
            self =
                value.asBool == true
                ? PointFilter(isTrue: .not(there), isFalse: there) : PointFilter(isTrue: there, isFalse: .not(there))
            return
        }
        guard !["payload", "JSON", "Vector", "Geometry"].contains(where: { $0 == path || $0 == type }) else {
            throw refuse("only is_null asks about a \(type)")
        }
        let element = type.hasPrefix("[") ? String(type.dropFirst().dropLast()) : type
        let given = value.asArray ?? [value]
        let operands = given.filter { !$0.isNull }
        let place = PayloadPath(path)
        let filter: Filter
        switch operation {
        case "eq" where element == type, "ne" where element == type, "in", "keys", "intersects":
            if path == "id" {
                // What cannot be an id is none of a point's.
                filter = .hasID(Set(operands.compactMap { try? PointID($0.asString ?? $0.description) }))
            } else {
                filter = try Self.oneOf(operands, place, element, refuse)
            }
        case _ where path == "id": throw refuse("ids are compared by eq and in")
        case "contains" where element != type:
            var all: [Filter] = []
            for operand in operands { all.append(try Self.oneOf([operand], place, element, refuse)) }
            filter = .all(all)
        case "gt", "gte", "lt", "lte": filter = try Self.range(operation, value, place, element, refuse)
        case "like": filter = try Self.like(place, value.asString ?? "", refuse)
        default: throw refuse("collections do not know it; ask for what \"payload\" holds, or copy what is to be asked into a database")
        }
        // Nobody knows whether a value is among some of which one is not known.
        let isFalse = operands.count < given.count ? Self.nothing : .all([Self.isThere(path, type), .not(filter)])
        let isTrue = operation == "contains" && operands.count < given.count ? Self.nothing : filter
        self = operation == "ne" ? PointFilter(isTrue: isFalse, isFalse: isTrue) : PointFilter(isTrue: isTrue, isFalse: isFalse)
    }

    private static func oneOf(
        _ operands: [JSONValue], _ place: PayloadPath, _ type: String, _ refuse: (String) -> ApusError
    ) throws(ApusError) -> Filter {
        if type.isTime {
            var moments: [Filter] = []
            for operand in operands {
                let time = try time(operand, refuse)
                moments.append(.timeRange(place, TimeRange(atLeast: time, atMost: time)))
            }
            return .any(moments)
        }
        var scalars: Set<Scalar> = []
        for operand in operands {
            guard let scalar = Scalar(operand, as: type) else { throw refuse("\(operand) is no \(type)") }
            scalars.insert(scalar)
        }
        return .oneOf(place, scalars)
    }

    private static func range(
        _ operation: String, _ value: JSONValue, _ place: PayloadPath, _ type: String, _ refuse: (String) -> ApusError
    ) throws(ApusError) -> Filter {
        if type.isTime {
            let time = try time(value, refuse)
            return .timeRange(
                place,
                TimeRange(
                    after: operation == "gt" ? time : nil, atLeast: operation == "gte" ? time : nil,
                    before: operation == "lt" ? time : nil, atMost: operation == "lte" ? time : nil))
        }
        guard let number = value.asDouble ?? value.asString.flatMap(Double.init) else { throw refuse("\(value) is no number") }
        return .range(
            place,
            NumberRange(
                greaterThan: operation == "gt" ? number : nil, atLeast: operation == "gte" ? number : nil,
                lessThan: operation == "lt" ? number : nil, atMost: operation == "lte" ? number : nil))
    }

    /// That there is a value, and not null.
    private static func isThere(_ path: String, _ type: String) -> Filter {
        switch path {
        case "id", "payload": return .everything
        default:
            if type == "Vector" { return .hasVector(path == "vector" ? "" : path) }
            return .all([.exists(PayloadPath(path)), .not(.isNull(PayloadPath(path)))])
        }
    }

    private static func time(_ value: JSONValue, _ refuse: (String) -> ApusError) throws(ApusError) -> PayloadTime {
        guard let time = PayloadTime((value.asString ?? "").utf8) else {
            throw refuse("\(value) is no moment such as 2026-01-31T12:00:00Z")
        }
        return time
    }

    /// Patterns that ask how a text begins, or what is in it.
    private static func like(_ place: PayloadPath, _ pattern: String, _ refuse: (String) -> ApusError) throws(ApusError) -> Filter {
        let begins = !pattern.hasPrefix("%")
        let ends = !pattern.hasSuffix("%")
        let text = pattern.drop { $0 == "%" }.reversed().drop { $0 == "%" }.reversed()
        guard !text.contains("%"), !text.contains("_"), !text.contains("\\") else {
            throw refuse("patterns are \"text%\", \"%text%\" and a text itself")
        }
        switch (begins, ends) {
        case (true, true): return .equals(place, .string(ExactString(String(text))))
        case (true, false): return .text(place, .prefix(ExactString(String(text))))
        case (false, false): return .text(place, .substring(ExactString(String(text))))
        case (false, true): throw refuse("patterns are \"text%\", \"%text%\" and a text itself")
        }
    }
}

extension String {
    /// Of types of the dialect.
    fileprivate var isTime: Bool { ["Timestamp", "DateTime", "Date"].contains(self) }
}

extension Scalar {
    /// A value as one of a field's type, as a database would read it; nil for what is none.
    fileprivate init?(_ value: JSONValue, as type: String) {
        switch (type, value) {
        case ("String", .string(let text)): self = .string(ExactString(text))
        case ("String", .integer), ("String", .unsigned), ("String", .double): self = .string(ExactString(value.description))
        case ("Boolean", .bool(let flag)): self = .bool(flag)
        case ("Boolean", .integer(let number)): self = .bool(number != 0)
        case ("Int", .string(let text)), ("BigInt", .string(let text)):
            guard let number = Int64(text) else { return nil }
            self = .integer(number)
        case ("Float", .string(let text)):
            guard let number = Double(text) else { return nil }
            self = .double(number)
        case ("Int", .integer(let number)), ("BigInt", .integer(let number)), ("Float", .integer(let number)): self = .integer(number)
        case ("BigInt", .unsigned(let number)), ("Float", .unsigned(let number)): self = .unsigned(number)
        case ("Float", .double(let number)), ("Int", .double(let number)), ("BigInt", .double(let number)): self = .double(number)
        default: return nil
        }
    }
}
