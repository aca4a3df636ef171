internal import ApusTypes

/// Which points of a collection a statement is about, as the planner says it (`StatementBuilder.points`).
struct PointsQuestion: Sendable {
    struct Column: Sendable {
        /// In the payload, with dots; or a name of what a point has beside it.
        var path: String
        /// A type of the dialect.
        var type: String
        /// Else nobody looks at it.
        var isTold: Bool
    }

    enum Search: Sendable {
        case vector([Float], field: String, distance: String, limit: Int)
        case text(String, limit: Int)
    }

    var collection: String
    var columns: [Column]
    /// All of which must be true.
    var conditions: [JSONValue]
    var search: Search?
    /// Of the first points that are enough.
    var limit: Int?
    /// An order by a number or time, of which the first points are enough.
    var order: (path: String, isDescending: Bool, limit: Int)?
    /// Whether only their number is wanted.
    var isCount: Bool

    /// Throws `request.invalid` for what a client got wrong.
    init(_ json: JSONValue) throws(ApusError) {
        collection = json["collection"]?.asString ?? ""
        columns = (json["columns"]?.asArray ?? []).map {
            Column(path: $0["path"]?.asString ?? "", type: $0["type"]?.asString ?? "", isTold: $0["told"]?.asBool ?? true)
        }
        conditions = json["where"]?.asArray ?? []
        isCount = json["count"]?.asBool ?? false
        limit = Self.page(json)
        if let order = json["order"], let limit = Self.page(order) {
            self.order = (order["path"]?.asString ?? "", order["descending"]?.asBool ?? false, limit)
        }
        guard let search = json["search"] else { return }
        let limit = Int(search["limit"]?.asInteger ?? 0)
        if let text = search["text"]?.asString {
            self.search = .text(text, limit: limit)
        } else {
            self.search = .vector(
                try Self.vector(search["vector"] ?? .null), field: search["field"]?.asString ?? "",
                distance: search["distance"]?.asString ?? "", limit: limit)
        }
    }

    private static func page(_ json: JSONValue) -> Int? {
        guard let limit = json["limit"]?.asInteger else { return nil }
        let (sum, isTooLarge) = Int(limit).addingReportingOverflow(Int(json["offset"]?.asInteger ?? 0))
        return isTooLarge ? nil : sum
    }

    /// A list of numbers, or its text.
    private static func vector(_ value: JSONValue) throws(ApusError) -> [Float] {
        let list = value.asString.flatMap { try? JSONValue(parsing: Array($0.utf8)) } ?? value
        guard let elements = list.asArray, !elements.isEmpty else {
            throw ApusError(.requestInvalid, "a vector is a list of numbers, such as [0.1, 0.2]", context: ["field": "vector"])
        }
        var vector: [Float] = []
        for element in elements {
            guard let number = element.asDouble else {
                throw ApusError(.requestInvalid, "a vector has numbers only", context: ["field": "vector"])
            }
            vector.append(Float(number))
        }
        return vector
    }
}
