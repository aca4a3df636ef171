internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// Typed reading of a body's fields. A member that is null counts as absent; one of another type is an error that names its place.
extension JSONElement {
    func member(_ name: String) -> JSONElement? {
        guard let element = self[name], !element.isNull else { return nil }
        return element
    }

    func required(_ name: String) throws(ApusError) -> JSONElement {
        guard let element = member(name) else { throw .format(path, "missing field `\(name)`") }
        return element
    }

    func mismatch(_ expected: String) -> ApusError { .format(path, "invalid type: expected \(expected)") }

    func expectString() throws(ApusError) -> String {
        guard let string else { throw mismatch("a string") }
        return string
    }

    func expectBool() throws(ApusError) -> Bool {
        guard let bool else { throw mismatch("a boolean") }
        return bool
    }

    /// A number that a float of 32 bits can hold.
    func expectFloat() throws(ApusError) -> Float {
        let number = Float(try expectNumber())
        guard number.isFinite else { throw .format(path, "the number is too large") }
        return number
    }

    func expectNumber() throws(ApusError) -> Double {
        guard let double else { throw mismatch("a number") }
        return double
    }

    func expectObject() throws(ApusError) -> JSONElement {
        guard kind == .object else { throw mismatch("an object") }
        return self
    }

    /// An unsigned integer; more than fits counts as all that fits. Below `least` it is 422.
    func expectCount(atLeast least: Int = 0) throws(ApusError) -> Int {
        guard let uint else {
            guard int == nil else { throw .format(path, "invalid value: expected an unsigned integer") }
            throw mismatch("an unsigned integer")
        }
        let count = Int(clamping: uint)
        guard count >= least else { throw .validation(path, "value \(count) invalid, must be \(least) or larger") }
        return count
    }

    func expectNumber(in range: ClosedRange<Double>) throws(ApusError) -> Double {
        let number = try expectNumber()
        guard range.contains(number) else {
            throw .validation(path, "value \(number) invalid, must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func expectElements() throws(ApusError) -> JSONElement.Elements {
        guard let elements else { throw mismatch("a list") }
        return elements
    }

    /// The members of an object, in order; none of anything else.
    var entries: [(key: String, value: JSONElement)] { members.map { Array($0) } ?? [] }

    /// The elements of a list; one element may stand without brackets.
    func oneOrMany() -> [JSONElement] { elements.map { Array($0) } ?? [self] }

    /// Refuses members that are not known: in a filter or a query an overlooked one would change what is asked.
    func requireOnly(_ names: Set<String>) throws(ApusError) {
        guard let members else { throw mismatch("an object") }
        for (key, value) in members where !value.isNull && !names.contains(key) { throw .format(value.path, "unknown field `\(key)`") }
    }

    /// A path of a payload (a JSON path).
    func expectPath() throws(ApusError) -> PayloadPath {
        let text = try expectString()
        do { return try PayloadPath(jsonPath: text) } catch {
            throw .format(path, "Invalid json path: '\(text.prefix(100))' (\(error.hint ?? ""))")
        }
    }

    /// A payload: an object, kept without white space.
    func expectPayload() throws(ApusError) -> [UInt8] {
        guard kind == .object else { throw mismatch("an object") }
        return minified
    }

    // MARK: Ids

    /// An unsigned integer of 64 bits or a UUID in one of its spellings.
    func expectPointID() throws(ApusError) -> PointID {
        if let uint { return .integer(uint) }
        if let string, let id = PointID(uuid: string) { return id }
        throw .format(
            path, "value \(string ?? value.description) is not a valid point ID, valid values are either an unsigned integer or a UUID")
    }

    func expectPointIDs() throws(ApusError) -> [PointID] {
        var ids: [PointID] = []
        ids.reserveCapacity(count)
        for element in try expectElements() { ids.append(try element.expectPointID()) }
        return ids
    }
}

extension Scalar {
    var json: JSONValue {
        switch self {
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .unsigned(let value): .unsigned(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value.text)
        }
    }
}

extension PointID {
    /// Numbers as numbers, all else as text.
    var json: JSONValue {
        switch self {
        case .integer(let number): Int64(exactly: number).map { .integer($0) } ?? .unsigned(number)
        default: .string(description)
        }
    }
}
