internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// The items of a write that could be read, and what is wrong with the others. Items keep their places in the request.
struct PointBatch<Item> {
    /// One for each item of the request; nil where the item was refused.
    private(set) var ids: [PointID?] = []
    private(set) var errors: [ApusError?] = []
    private(set) var accepted: [Item] = []
    /// Whether the client named the point; else the id was made here.
    private(set) var isNamed: [Bool] = []
    private var places: [Int] = []

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
    /// Reads `{id?, vector | embedding | data, payload? | metadata?}` for a collection of `dimension` numbers, without a tree.
    mutating func addPoint(_ element: JSONElement, dimension: Int, _ document: RequestDocument) {
        let index = count
        let named = element.first("id", "client_id")
        add(named: named != nil, id: try? named?.expectPointID()) { () throws(ApusError) in
            guard element.kind == .object else { throw .invalid(element.path, "it is not an object") }
            let id = try named?.expectPointID() ?? document.generatedID(item: index)
            guard let vector = element.first("vector", "embedding", "data") else {
                if element.first("text") != nil { throw .noEmbedding("text") }
                throw .invalid("\(element.path).vector".trimmedDot, "it is missing")
            }
            let payload = try element.first("payload", "metadata")?.expectPayload()
            return (id, Point(id: id, vector: try vector.vector(dimension: dimension), payload: payload))
        }
    }
}

extension PointBatch where Item == Point {
    /// Gives the accepted points their vectors, in their order.
    mutating func setVectors(_ vectors: [[Float]]) {
        for (index, vector) in vectors.enumerated() { accepted[index].vector = vector }
    }
}

extension WriteOutcome {
    /// Of one item. A first reply that another version kept may not have one for each.
    func error(_ index: Int) -> ApusError? { errors.indices.contains(index) ? errors[index] : nil }
}

extension JSONElement {
    /// A vector of the collection's dimension, with errors in the words of this API.
    func vector(dimension: Int) throws(ApusError) -> [Float] {
        if string != nil { throw .noEmbedding(path) }
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
