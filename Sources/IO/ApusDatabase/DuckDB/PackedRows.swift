/// Rows as texts, one behind the other.
public struct PackedRows: Sendable {
    public let columnCount: Int
    public private(set) var rowCount = 0
    /// Of all columns of all rows. One byte more than they need, so that an empty text has a place, too.
    public private(set) var bytes: [UInt8] = [0]
    /// Where the text of each column of each row ends; below zero: it is NULL, and ends where the one before does.
    private var ends: [Int] = []

    init(columnCount: Int) { self.columnCount = columnCount }

    mutating func endRow() {
        rowCount += 1
        precondition(ends.count == rowCount * columnCount, "a row has a text for each column")
    }

    /// `write` adds the text's bytes; false for NULL.
    mutating func add(_ write: (inout [UInt8]) throws -> Bool) rethrows {
        bytes.removeLast()
        let start = bytes.count
        let isThere: Bool
        do { isThere = try write(&bytes) } catch {
            bytes.append(0)
            throw error
        }
        ends.append(isThere ? bytes.count : -start - 1)
        bytes.append(0)
    }

    /// Nil for NULL.
    public func place(row: Int, column: Int) -> Range<Int>? {
        let index = row * columnCount + column
        guard ends[index] >= 0 else { return nil }
        let before = index == 0 ? 0 : ends[index - 1]
        return (before < 0 ? -before - 1 : before)..<ends[index]
    }
}
