/// How a column's text is written as JSON. It follows from the declared type: what does not fit the type is an error, whatever the
/// database holds.
struct ValueFormat: Sendable, Hashable {
    enum Scalar: UInt8, Sendable, Hashable {
        /// What is no number in JSON (NaN, infinity) becomes null.
        case number
        case integer
        /// The same, of 32 bits.
        case int32
        /// A number of rows: none are 0, also where there was nothing to count.
        case count
        case boolean
        case text
        /// A cell of H3, as text.
        case h3Cell
        /// A length of time as the database writes it.
        case interval
        /// JSON already.
        case json
        /// A geometry as GeoJSON.
        case geometry
        case date
        /// `2026-01-01 00:00:00` with a T between, and Z behind.
        case dateTime
        /// `2026-01-01 00:00:00+00` with a T, and the offset as RFC 3339 writes it.
        case timestamp
        /// With nine digits of a second.
        case time

        /// As messages call it.
        var name: String {
            switch self {
            case .number: "number"
            case .integer, .int32, .count: "whole number"
            case .boolean: "Boolean"
            case .text, .h3Cell: "text in UTF-8"
            case .interval: "length of time"
            case .json: "JSON"
            case .geometry: "geometry"
            case .date: "date"
            case .dateTime, .timestamp: "date with a time"
            case .time: "time"
            }
        }
    }

    var scalar: Scalar
    /// Whether the column holds a JSON array of such values.
    var isList = false
    /// Of a geometry, where the schema says it: in which coordinates it is.
    var srid: Int32 = 0

    static let number = ValueFormat(scalar: .number)
    static let integer = ValueFormat(scalar: .integer)
    static let int32 = ValueFormat(scalar: .int32)
    static let count = ValueFormat(scalar: .count)
    static let boolean = ValueFormat(scalar: .boolean)
    static let text = ValueFormat(scalar: .text)
    static let h3Cell = ValueFormat(scalar: .h3Cell)
    static let interval = ValueFormat(scalar: .interval)
    static let geometry = ValueFormat(scalar: .geometry)
    static let json = ValueFormat(scalar: .json)
    static let date = ValueFormat(scalar: .date)
    static let dateTime = ValueFormat(scalar: .dateTime)
    static let timestamp = ValueFormat(scalar: .timestamp)
    static let time = ValueFormat(scalar: .time)

    var list: ValueFormat { ValueFormat(scalar: scalar, isList: true) }

    /// As plans call it: what is written the same in JSON has one name.
    var name: String {
        let word =
            switch scalar {
            case .int32: "integer"
            case .interval, .h3Cell: "text"
            case .geometry: "json"
            default: "\(scalar)"
            }
        return isList ? "list of \(word)" : word
    }
}
