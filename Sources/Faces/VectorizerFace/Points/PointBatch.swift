internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// The items of a write that could be read, and what is wrong with the others. Items keep their places in the request.
struct PointBatch<Item> {
    /// One for each item of the request; nil where the item was refused.
    private(set) var ids: [PointID?] = []
    private(set) var errors: [ApusError?] = []
    fileprivate(set) var accepted: [Item] = []
    /// Whether the client named the point; else the id was made here.
    private(set) var isNamed: [Bool] = []
    private var places: [Int] = []
    /// Items of `accepted` that are to be embedded.
    fileprivate var texts: [(item: Int, text: String)] = []

    /// Reads an item; a bad one is kept with its error.
    mutating func add(named: Bool, id: PointID?, _ read: () throws(ApusError) -> (PointID, Item)) {
        isNamed.append(named)
        do {
            let (id, item) = try read()
            ids.append(id)
            errors.append(nil)
            places.append(accepted.count)
            accepted.append(item)
        } catch {
            ids.append(id)
            errors.append(error)
            places.append(-1)
        }
    }

    /// Puts the service's outcome for the accepted items into the request's order.
    mutating func merge(_ outcome: WriteOutcome) {
        for index in errors.indices where places[index] >= 0 { errors[index] = outcome.error(places[index]) }
    }

    var count: Int { errors.count }
    var failures: Int { errors.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }
}

extension PointBatch where Item == Point {
    /// Reads `{id?, vector | embedding | data | text, payload? | metadata?}` for a collection, without a tree; an item that is a string is
    /// a text. Texts wait for `embed`.
    mutating func addPoint(_ element: JSONElement, to collection: CollectionDescription, _ document: RequestDocument) {
        let index = count
        let isText = element.kind == .string
        let named = isText ? nil : element.first("id", "client_id")
        var text: String?
        add(named: named != nil, id: try? named?.expectPointID()) { () throws(ApusError) in
            guard isText || element.kind == .object else { throw .invalid(element.path, "it is neither an object nor a text") }
            let id = try named?.expectPointID() ?? document.generatedID(item: index)
            let payload = isText ? nil : try element.first("payload", "metadata")?.expectPayload()
            let vector = isText ? element : element.first("vector", "embedding", "data", "text", "content")
            guard let vector else { throw .invalid("\(element.path).vector".trimmedDot, "it is missing") }
            guard let string = vector.string else {
                return (id, Point(id: id, vector: try vector.vector(dimension: collection.configuration.dimension), payload: payload))
            }
            guard collection.configuration.embedding != nil else { throw .noEmbedding(vector.path, in: collection.name) }
            try VectorService.check(text: string, field: vector.path.isEmpty ? "text" : vector.path)
            text = string
            return (id, Point(id: id, vector: [], payload: Self.payload(payload, keeping: string)))
        }
        if let text { texts.append((accepted.count - 1, text)) }
    }

    /// Reads an item that is a text, and perhaps a payload. It waits for `embed`.
    mutating func addText(
        named: Bool, id: PointID?, _ read: () throws(ApusError) -> (id: PointID, text: String, payload: [UInt8]?)
    ) {
        var text: String?
        add(named: named, id: id) { () throws(ApusError) in
            let item = try read()
            text = item.text
            return (item.id, Point(id: item.id, vector: [], payload: Self.payload(item.payload, keeping: item.text)))
        }
        if let text { texts.append((accepted.count - 1, text)) }
    }

    /// Gives the points that were sent as texts their vectors.
    mutating func embed(_ body: ([String]) async throws -> [[Float]]) async throws {
        guard !texts.isEmpty else { return }
        for ((item, _), vector) in zip(texts, try await body(texts.map(\.text))) { accepted[item].vectors = PointVectors(vector) }
    }

    /// The payload with the text in it, so that a search can show it and find its words; one that has a `content` of its own keeps that.
    private static func payload(_ payload: [UInt8]?, keeping text: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { $0.member(VectorService.textMember, text) }
        guard let payload, payload.count > 2 else { return writer.bytes }
        let hasOwn = (try? JSONDocument(parsing: payload).root[VectorService.textMember]) != nil
        return hasOwn ? payload : writer.bytes.dropLast() + [UInt8(ascii: ",")] + payload.dropFirst()
    }
}

extension WriteOutcome {
    /// Of one item. A first reply that another version kept may not have one for each.
    func error(_ index: Int) -> ApusError? { errors.indices.contains(index) ? errors[index] : nil }
}

extension JSONElement {
    /// A vector of the collection's dimension, with errors in the words of this API.
    func vector(dimension: Int) throws(ApusError) -> [Float] {
        if string != nil { throw .invalid(path, "it is a text; texts are embedded by inserts and searches") }
        do { return try floats(dimension: dimension) } catch var error {
            if error.code == .vectorWrongDimension {
                error.summary = "embedding length \(count) does not match collection dimension \(dimension)"
            }
            throw error
        }
    }
}

extension String {
    fileprivate var trimmedDot: String { hasPrefix(".") ? String(dropFirst()) : self }
}
