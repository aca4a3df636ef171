/// How the rows of one statement become JSON: which columns are written where, and when a row begins a new object.
///
/// A statement is one flat join. Its lists are inside each other, the outer ones first: the columns of a list's object repeat while the rows
/// of the list inside it come, and the key says when the next object begins.
struct RowShape: Sendable, Hashable {
    /// The lists of the statement, from the outside.
    var levels: [Level]
    /// What the rows come to.
    var result: Result

    enum Result: Sendable, Hashable {
        case list
        /// The object of the first row; null without rows.
        case one
        /// The object is of how many rows there were: its column 0.
        case changes
        /// Nothing by themselves: each is a geometry, whose cells of this resolution another statement is asked with.
        case cells(resolution: Int)
    }

    /// The objects of one list.
    struct Level: Sendable, Hashable {
        /// Where its key is; empty for the innermost, each of whose rows is another object.
        var key: [Int] = []
        /// Null in this column: there is no object. Of a list inside another that has no rows.
        var presence: Int?
        var item: Shape
        /// More objects than this are dropped, and told.
        var limit: Int?
    }

    /// Of a batch: the column that tells which of the keys a row is for, by its number.
    var group: Int?
    /// What a key of a batch gets that no rows came for.
    var absent: [UInt8] = Array("null".utf8)

    init(levels: [Level], result: Result, group: Int? = nil) {
        self.levels = levels
        self.result = result
        self.group = group
    }
}

/// One value of the reply.
indirect enum Shape: Sendable, Hashable {
    /// Null when the column is.
    case object([Member], presence: Int?)
    case value(column: Int, ValueFormat)
    case text([UInt8])
    /// The list inside this one.
    case nested
    /// The rows that another statement finds by the key in these columns.
    case batch(Int, key: [Int])

    struct Member: Sendable, Hashable {
        /// `"key":`
        var name: [UInt8]
        var shape: Shape

        let key: String

        init(_ key: String, _ shape: Shape) {
            self.key = key
            name = JSONText.quoted(key) + [UInt8(ascii: ":")]
            self.shape = shape
        }
    }

    /// The columns that it writes or looks at.
    var columns: [Int] {
        switch self {
        case .value(let column, _): [column]
        case .object(let members, let presence): members.flatMap(\.shape.columns) + (presence.map { [$0] } ?? [])
        case .batch(_, let key): key
        case .text, .nested: []
        }
    }

    func mapColumns(_ transform: (Int) -> Int) -> Shape {
        switch self {
        case .value(let column, let format): return .value(column: transform(column), format)
        case .object(let members, let presence):
            let members = members.map { member in
                var member = member
                member.shape = member.shape.mapColumns(transform)
                return member
            }
            return .object(members, presence: presence.map(transform))
        case .batch(let batch, let key): return .batch(batch, key: key.map(transform))
        case .text, .nested: return self
        }
    }

    /// With shapes in the places of values, by the numbers of their columns.
    func replacing(values: [Shape]) -> Shape {
        switch self {
        case .value(let column, _): values[column]
        case .object(let members, let presence):
            .object(
                members.map { member in
                    var member = member
                    member.shape = member.shape.replacing(values: values)
                    return member
                }, presence: presence)
        case .text, .nested, .batch: self
        }
    }

    /// The columns by the paths at which a reader of the reply finds them.
    func name(columns: inout [String: Int], below path: String) {
        switch self {
        case .value(let column, _): columns[path] = column
        case .object(let members, _):
            for member in members {
                member.shape.name(columns: &columns, below: path.isEmpty ? member.key : "\(path).\(member.key)")
            }
        case .text, .nested, .batch: break
        }
    }

    /// What it says when all columns are null.
    var ofNothing: [UInt8] {
        switch self {
        case .value(_, .count): return Array("0".utf8)
        case .text(let bytes): return bytes
        case .object(let members, nil):
            let parts = members.map { $0.name + $0.shape.ofNothing }
            return Array("{".utf8) + Array(parts.joined(separator: Array(",".utf8))) + Array("}".utf8)
        case .value, .object, .nested, .batch: return Array("null".utf8)
        }
    }
}
