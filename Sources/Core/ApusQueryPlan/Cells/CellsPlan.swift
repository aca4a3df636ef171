/// `h3`: what of each cell is told, in the order of the request.
struct CellsPlan: Sendable {
    /// The field's.
    var path: [String]
    var resolution: Int
    /// The fields in `data`.
    var members: [Member] = []
    var fields: [Field] = []
    var distributions: [CellDistribution] = []
    /// The name of the field, where its time is asked for.
    var measuredName: String?

    struct Member: Sendable {
        var path: [String]
        /// That finds the geometries; its batch tells what the rows in a cell come to.
        var statement: Int
        /// Whether cells without such rows are left out.
        var isInner: Bool
    }

    struct Field: Sendable {
        /// `"key":`
        var name: [UInt8]
        var value: Value
    }

    indirect enum Value: Sendable {
        case cell
        case resolution
        case boundary
        case text([UInt8])
        case data([Field])
        /// Of the number among `members`.
        case member(Int)
        /// Of the number among `distributions`.
        case distribution(Int)
    }
}

/// A value that is shared out over cells by another: of each cell `numerator * denominator / sum of all denominators`.
struct CellDistribution: Sendable {
    /// A number in what a member tells of a cell.
    struct Source: Sendable {
        var member: Int
        /// Response keys from the member, or from one of its buckets.
        var path: [String]
        /// Of buckets: the response key of what rows are grouped by.
        var key: String?
    }

    var numerator: Source
    var denominator: Source
    /// Whether there is one for each bucket.
    var isList: Bool
    /// Response keys with what they are told of.
    var fields: [(name: [UInt8], value: Value)]

    enum Value: String, Sendable {
        case value, ratio, numerator, denominator
        case total = "denominator_total"
        case numeratorKey = "numerator_key"
        case denominatorKey = "denominator_key"
        case typename = "__typename"
    }
}
