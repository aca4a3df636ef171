internal import ApusCatalog
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// A request's JSON body.
struct RequestDocument {
    let root: JSONElement
    /// What the write is recognised by when its client sends it again (`Idempotency-Key`).
    let operation: OperationID?

    /// Throws `request.unparsable`, and `request.invalid` for a body that is no object.
    init(bytes: [UInt8], request: Request) throws(ApusError) {
        root = try JSONDocument(parsing: bytes).root
        guard root.kind == .object else { throw .invalid("body", "it is not a JSON object") }
        operation = try Self.operation(bytes: bytes, request: request)
    }

    static func operation(bytes: [UInt8], request: Request) throws(ApusError) -> OperationID? {
        guard let key = request.headers["Idempotency-Key"] else { return nil }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .invalid("Idempotency-Key", "it is not 1 to 255 visible ASCII characters")
        }
        let scope = "\(request.principal?.id ?? "") \(request.method.rawValue) \(request.rawPath)"
        return OperationID(scope: scope, id: key, bodyDigest: Digest(of: bytes), origin: .init(ofKey: key))
    }

    /// An id for a point that its client did not name: random, but the same for a request that comes again.
    func generatedID(item: Int) -> PointID {
        guard let operation else { return .uuid(high: .random(in: .min ... .max), low: .random(in: .min ... .max)) }
        let digest = Digest(of: "\(operation.scope)\n\(operation.id)\n\(item)").bytes
        func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        return .uuid(high: word(digest[0..<8]), low: word(digest[8..<16]))
    }
}

extension ApusError {
    /// A field that is missing or holds what it may not.
    static func invalid(_ field: String, _ reason: String) -> ApusError {
        ApusError(.requestInvalid, "Invalid \(field): \(reason)", context: ["field": field, "reason": reason])
    }

    /// Text came for a collection that has nothing to make a vector of it.
    static func noEmbedding(_ field: String, in collection: CollectionName) -> ApusError {
        ApusError(
            .embeddingUnavailable, "collection '\(collection)' has no embedding provider: it takes vectors, not texts",
            hint: "send numbers as 'vector', or make the collection with an 'embedding_provider'", context: ["field": field])
    }
}

/// Typed reading of a body's fields. A field that is null counts as absent; one of another type is an error that names it.
extension JSONElement {
    /// The first of `names` that is there; clients call one thing by several names.
    func first(_ names: String...) -> JSONElement? { first(of: names) }

    private func first(of names: [String]) -> JSONElement? {
        for name in names { if let element = self[name], !element.isNull { return element } }
        return nil
    }

    func required(_ names: String...) throws(ApusError) -> JSONElement {
        guard let element = first(of: names) else {
            throw .invalid(path.isEmpty ? names[0] : "\(path).\(names[0])", "it is missing")
        }
        return element
    }

    func expectString() throws(ApusError) -> String {
        guard let string else { throw .invalid(path, "it is not a string") }
        return string
    }

    func expectBool() throws(ApusError) -> Bool {
        guard let bool else { throw .invalid(path, "it is not true or false") }
        return bool
    }

    func expectCount(_ range: ClosedRange<Int>) throws(ApusError) -> Int {
        guard let int, let value = Int(exactly: int) else { throw .invalid(path, "it is not an integer") }
        guard range.contains(value) else { throw .invalid(path, "\(value) is not between \(range.lowerBound) and \(range.upperBound)") }
        return value
    }

    func expectNumber() throws(ApusError) -> Double {
        guard let double else { throw .invalid(path, "it is not a number") }
        return double
    }

    func expectElements(atMost limit: Int) throws(ApusError) -> [JSONElement] {
        guard let elements else { throw .invalid(path, "it is not an array") }
        guard count <= limit else { throw .invalid(path, "it has \(count) elements, at most \(limit) are allowed in one request") }
        return Array(elements)
    }

    /// A point's id: a string, or an unsigned integer.
    func expectPointID() throws(ApusError) -> PointID {
        if let uint { return .integer(uint) }
        guard let string else { throw .invalid(path, "it is neither a string nor an unsigned integer") }
        do { return try PointID(string) } catch { throw .invalid(path, error.summary) }
    }

    /// A payload: an object, kept without white space.
    func expectPayload() throws(ApusError) -> [UInt8] {
        guard kind == .object else { throw .invalid(path, "it is not an object") }
        return minified
    }
}

/// A collection's name, on its way in.
func collectionName(_ text: String) throws(ApusError) -> CollectionName {
    guard !text.isEmpty else { throw .invalid("collection", "collection name cannot be empty") }
    return CollectionName(text)
}
