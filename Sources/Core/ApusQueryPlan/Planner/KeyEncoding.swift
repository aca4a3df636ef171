internal import ApusGraphQL
internal import ApusSchemas

/// How the text of a key goes into JSON for a source that compares what it is given as it is (SQLite).
enum KeyEncoding: Sendable, Hashable {
    case number
    /// `t` of one database is 1 of another.
    case boolean
    case text

    func write(_ key: UnsafeRawBufferPointer, to output: inout ReplyBuffer) {
        switch self {
        case .number where JSONScanner.isNumber(key): output.append(key)
        case .boolean where key.first == UInt8(ascii: "t") || key.first == UInt8(ascii: "1"): output.append(UInt8(ascii: "1"))
        case .boolean: output.append(Ascii.zero)
        case .number, .text: output.quote(key)
        }
    }
}

/// Which types may be keys that one statement tells and another is asked for. The database that is asked compares them, by its own idea of
/// equality; what has to be the same is what both mean by a text.
extension StatementBuilder {
    func requireKeys(_ near: DataField, of nearSource: SourceSide, _ far: DataField, _ navigation: String) throws(GraphQLError) {
        func refuse(_ why: String) -> GraphQLError {
            GraphQLError(
                "\"\(navigation)\" cannot be matched between statements by \"\(near.name)\" and \"\(far.name)\": \(why); choose other fields."
            )
        }
        guard let from = near.type.keyClass, let to = far.type.keyClass else {
            throw refuse("a \(near.type.keyClass == nil ? near.type.text : far.type.text) is no key")
        }
        if nearSource.name == source {
            if engine == .sqlite, near.type == .scalar(.float) { throw refuse("SQLite tells numbers with a fraction inexactly") }
            return
        }
        guard from == to else { throw refuse("a \(near.type.text) is no \(far.type.text)") }
        let isExact = [.number, .text, .boolean, .date].contains(from) && near.type != .scalar(.float) && far.type != .scalar(.float)
        guard isExact || engine != .sqlite && nearSource.engine != .sqlite && from != .other else {
            throw refuse("data sources write a \(near.type.text) in different ways")
        }
    }

    struct SourceSide {
        var name: String
        var engine: SQLEngine
    }
}

extension DataType {
    enum KeyClass { case number, text, boolean, date, instant, other }

    /// Nil for what has no equality to match by.
    var keyClass: KeyClass? {
        switch self {
        case .enumeration: .text
        case .structure, .object, .list: nil
        case .scalar(let scalar):
            switch scalar {
            case .int, .bigInt, .float: .number
            case .string, .h3Cell: .text
            case .boolean: .boolean
            case .date: .date
            case .dateTime, .timestamp, .time: .instant
            case .interval, .intRange, .bigIntRange, .timestampRange: .other
            case .json, .geometry, .vector: nil
            }
        }
    }

    var keyEncoding: KeyEncoding {
        switch keyClass {
        case .number: .number
        case .boolean: .boolean
        default: .text
        }
    }
}
