internal import ApusTypes

/// The rows of one statement.
public struct Rows: Sendable {
    public var columns: [String]
    public var rows: [Row]
    /// Rows that an INSERT, UPDATE or DELETE changed.
    public var changed: Int

    public init(columns: [String] = [], rows: [Row] = [], changed: Int = 0) {
        self.columns = columns
        self.rows = rows
        self.changed = changed
    }
}

extension Rows: RandomAccessCollection {
    public var startIndex: Int { rows.startIndex }
    public var endIndex: Int { rows.endIndex }
    public subscript(position: Int) -> Row { rows[position] }
}

/// One row; columns by position, in the order of the statement. A column of another type than asked is a defect of ours: it throws
/// `database.rejected` naming the column's position.
public struct Row: Sendable {
    public var values: [SQLValue]

    public init(_ values: [SQLValue]) { self.values = values }

    public func integer(_ column: Int) throws -> Int64 {
        if case .integer(let value) = values[column] { return value }
        throw mismatch(column, "an integer")
    }

    public func text(_ column: Int) throws -> String {
        if case .text(let value) = values[column] { return value }
        throw mismatch(column, "text")
    }

    public func blob(_ column: Int) throws -> [UInt8] {
        if case .blob(let value) = values[column] { return value }
        throw mismatch(column, "bytes")
    }

    public func bool(_ column: Int) throws -> Bool {
        switch values[column] {
        case .bool(let value): return value
        case .integer(let value): return value != 0  // SQLite has no booleans
        default: throw mismatch(column, "a boolean")
        }
    }

    public func double(_ column: Int) throws -> Double {
        switch values[column] {
        case .double(let value): return value
        case .integer(let value): return Double(value)
        default: throw mismatch(column, "a number")
        }
    }

    public func isNull(_ column: Int) -> Bool { values[column] == .null }

    private func mismatch(_ column: Int, _ expected: String) -> ApusError {
        ApusError(.databaseRejected, "column \(column) is not \(expected)")
    }
}
