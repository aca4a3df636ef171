internal import ApusThunder
internal import ApusTypes
internal import ApusVectorIndex

/// A call's arguments, by their places.
struct RPCArguments {
    private let values: [ThunderValue]

    init(_ values: [ThunderValue]) { self.values = values }

    /// The argument, unless it is absent or null.
    func optional(_ index: Int, _ name: String) -> RPCField? {
        guard values.indices.contains(index), !values[index].isNull else { return nil }
        return RPCField(value: values[index], path: name)
    }

    func required(_ index: Int, _ name: String) throws(ApusError) -> RPCField {
        guard let field = optional(index, name) else { throw .invalid(name, "argument \(index + 1) is missing") }
        return field
    }
}

/// A value with its place in the call, for errors. A member that is null counts as absent; one of another type is an error that names it.
struct RPCField {
    let value: ThunderValue
    let path: String

    /// The first of `names` that is there; clients call one thing by several names.
    func first(_ names: String...) -> RPCField? { first(of: names) }

    private func first(of names: [String]) -> RPCField? {
        for name in names { if let value = value[name], !value.isNull { return RPCField(value: value, path: member(name)) } }
        return nil
    }

    func required(_ names: String...) throws(ApusError) -> RPCField {
        guard let field = first(of: names) else { throw .invalid(member(names[0]), "it is missing") }
        return field
    }

    private func member(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    func expectString() throws(ApusError) -> String {
        guard let string = value.asString else { throw .invalid(path, "it is not a string") }
        return string
    }

    func expectBool() throws(ApusError) -> Bool {
        guard let bool = value.asBool else { throw .invalid(path, "it is not true or false") }
        return bool
    }

    func expectInt() throws(ApusError) -> Int {
        guard let int = value.asInt else { throw .invalid(path, "it is not an integer") }
        return Int(int)
    }

    func expectNumber() throws(ApusError) -> Double {
        guard let number = value.asDouble, number.isFinite else { throw .invalid(path, "it is not a number") }
        return number
    }

    func expectMap() throws(ApusError) -> RPCField {
        guard value.asMap != nil else { throw .invalid(path, "it is not a map") }
        return self
    }

    func expectElements(atMost limit: Int) throws(ApusError) -> [RPCField] {
        guard let elements = value.asArray else { throw .invalid(path, "it is not an array") }
        guard elements.count <= limit else {
            throw .invalid(path, "it has \(elements.count) elements, at most \(limit) are allowed in one request")
        }
        return elements.enumerated().map { RPCField(value: $0.element, path: "\(path)[\($0.offset)]") }
    }

    /// A point's id: a string, or an unsigned integer.
    func expectPointID() throws(ApusError) -> PointID {
        if case .int(let number) = value, let number = UInt64(exactly: number) { return .integer(number) }
        guard let text = value.asString else { throw .invalid(path, "it is neither a string nor an unsigned integer") }
        do { return try PointID(text) } catch { throw .invalid(path, error.summary) }
    }

    func expectPointIDs(atMost limit: Int) throws(ApusError) -> [PointID] {
        var ids: [PointID] = []
        for element in try expectElements(atMost: limit) { ids.append(try element.expectPointID()) }
        return ids
    }

    /// A vector of the collection's dimension: numbers that are finite and no larger than a float of 32 bits.
    func vector(dimension: Int) throws(ApusError) -> [Float] {
        guard let elements = value.asArray else {
            throw ApusError(.vectorInvalid, "'\(path)' is not an array of numbers", context: ["field": path])
        }
        guard elements.count == dimension else {
            throw ApusError(
                .vectorWrongDimension, "embedding length \(elements.count) does not match collection dimension \(dimension)",
                context: ["field": path, "expected": String(dimension), "actual": String(elements.count)])
        }
        var vector: [Float] = []
        vector.reserveCapacity(dimension)
        for (index, element) in elements.enumerated() {
            let number = element.asDouble ?? .nan
            let float = Float(number)
            guard float.isFinite else {
                let reason =
                    element.asDouble == nil
                    ? "is not a number" : number.isFinite ? "is too large for a float of 32 bits" : "is not a finite number"
                throw ApusError(.vectorInvalid, "\(path)[\(index)] \(reason)", context: ["field": "\(path)[\(index)]"])
            }
            vector.append(float)
        }
        return vector
    }

    /// A payload: a map, or the text of a JSON object; kept as JSON without white space.
    func expectPayload() throws(ApusError) -> [UInt8] {
        if let text = value.asString {
            do { return try JSONDocument(parsing: Array(text.utf8)).root.expectPayload() } catch {
                throw .invalid(path, "it is not the text of a JSON object: \(error.summary)")
            }
        }
        return try expectMap().json().minified
    }

    /// The value as JSON, for what both of Vectorizer's protocols read alike. Throws for what JSON cannot say.
    func json() throws(ApusError) -> JSONElement {
        var writer = JSONWriter()
        var problem: ApusError?
        writer.object {
            $0.key(path)
            do throws(ApusError) { try Self.write(value, path, to: &$0) } catch { problem = error }
        }
        if let problem { throw problem }
        return try JSONDocument(parsing: writer.bytes, maxDepth: ThunderValue.deepest + 8).root.required(path)
    }

    private static func write(_ value: ThunderValue, _ path: String, to writer: inout JSONWriter) throws(ApusError) {
        switch value {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .int(let value): writer.integer(value)
        case .float(let value):
            guard value.isFinite else { throw .invalid(path, "it is not a finite number") }
            writer.double(value)
        case .string(let value): writer.string(value)
        case .bytes: throw .invalid(path, "bytes have no place in JSON")
        case .array(let elements):
            try writer.array { (writer) throws(ApusError) in
                for (index, element) in elements.enumerated() { try write(element, "\(path)[\(index)]", to: &writer) }
            }
        case .map(let pairs):
            try writer.object { (writer) throws(ApusError) in
                for pair in pairs {
                    guard let key = pair.key.asString else { throw .invalid(path, "its keys are not all strings") }
                    writer.key(key)
                    try write(pair.value, "\(path).\(key)", to: &writer)
                }
            }
        }
    }
}
