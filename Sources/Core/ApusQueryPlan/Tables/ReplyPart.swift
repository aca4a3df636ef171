internal import ApusSchemas

/// A part of a reply that is told in parts: one field of the operation's root or of a module.
public struct ReplyPart: Sendable {
    public enum Content: Sendable {
        case json([UInt8])
        /// A list of rows, by the number of its statement in the plan: it is read while it is told.
        case table(statement: Int)
        /// A table that was made at once.
        case made([[UInt8]])
        /// What a jq program is to make, beside the data.
        case transform(PlanRunner.Transform)
    }

    /// Response keys from the root.
    public var path: [String]
    public var content: Content
    public internal(set) var geometry: [GeometryColumn] = []
    /// Whether a default limit cut it.
    public internal(set) var isTruncated = false

    init(path: [String], content: Content) {
        self.path = path
        self.content = content
    }
}

/// A geometry in a part.
public struct GeometryColumn: Sendable, Hashable {
    public enum Format: Sendable, Hashable {
        /// ISO well-known binary.
        case binary
        /// Text of GeoJSON.
        case text
        /// GeoJSON as a member of JSON.
        case json
    }

    /// Response keys from the part.
    public var path: [String]
    /// Zero where the schema does not say it.
    public var srid: Int32
    public var format: Format

    /// Those at the top first: readers take the first where they are asked for none by name.
    static func all(of statement: StatementPlan, inTable: Bool) -> [GeometryColumn] {
        var found: [GeometryColumn] = []
        add(statement, [], inTable, to: &found)
        return found.filter { $0.path.count == 1 } + found.filter { $0.path.count != 1 }
    }

    private static func add(_ statement: StatementPlan, _ path: [String], _ inTable: Bool, to found: inout [GeometryColumn]) {
        func add(_ shape: Shape, _ path: [String], _ level: Int) {
            switch shape {
            case .value(_, let format) where format.scalar == .geometry && !format.isList && !path.isEmpty:
                found.append(
                    GeometryColumn(path: path, srid: format.srid, format: !inTable ? .json : path.count == 1 ? .binary : .text))
            case .object(let members, _): for member in members { add(member.shape, path + [member.key], level) }
            case .nested:
                let levels = statement.program.shape.levels
                if level + 1 < levels.count { add(levels[level + 1].item, path, level + 1) }
            case .batch(let number, _): Self.add(statement.batches[number], path, inTable, to: &found)
            case .value, .text: break
            }
        }
        if let outermost = statement.program.shape.levels.first { add(outermost.item, path, 0) }
    }
}

extension StatementPlan {
    /// Whether it is a list of rows, which is told as a table where replies have such; or one row, where these are, too.
    func isTable(orRow: Bool) -> Bool {
        let result = program.shape.result
        guard action == nil, !isMutation, result == .list || orRow && result == .one,
            case .object(let members, nil)? = program.shape.levels.first?.item
        else { return false }
        return !members.isEmpty
    }

    /// Whether it comes to so few rows that they may as well be read at once.
    public var isShort: Bool { program.shape.levels.count == 1 && (program.shape.levels[0].limit ?? .max) <= 10_000 && batches.isEmpty }
}
