internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// One of the values in a cursor: those that a row is ordered by, as its database wrote them, behind a digest of the order that they belong
/// to; all of it in hexadecimal digits. A cursor is no secret and no right: it only says where to begin among the rows that may be seen.
struct CursorPart: Sendable, Hashable {
    /// Of the order: 16 digits.
    var order: String
    var place: Int
    /// Whether the database must be given a number, and of which kind; nil: a text will do.
    var number: ScalarType?

    func value(in cursor: JSONValue) throws(GraphQLError) -> JSONValue {
        guard let text = cursor.asString, let bytes = Self.bytes(text), bytes.count > order.utf8.count else { throw Self.malformed }
        guard bytes.prefix(order.utf8.count).elementsEqual(order.utf8) else {
            throw GraphQLError(
                "Argument \"after\" is the cursor of another list, or of another order; ask with the order_by that it was told with.")
        }
        guard let values = try? JSONValue(parsing: Array(bytes.dropFirst(order.utf8.count))).asArray, place < values.count else {
            throw Self.malformed
        }
        let value = values[place]
        switch (value, number) {
        case (.null, _), (.string, nil): return value
        case (.string(let text), .float?): if let number = Double(text) { return .double(number) }
        case (.string(let text), _?): if let number = Int64(text) { return .integer(number) }
        default: break
        }
        throw Self.malformed
    }

    private static let malformed = GraphQLError("Argument \"after\" is no cursor; give it the cursor of an edge of this list.")

    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.utf8.map { digit -> UInt8 in
            switch digit {
            case 48...57: digit - 48
            case 97...102: digit - 87
            default: 255
            }
        }
        guard digits.count.isMultiple(of: 2), !digits.contains(255) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
