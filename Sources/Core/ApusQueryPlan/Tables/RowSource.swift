/// Rows that are held somewhere, to be gone through more than once.
public protocol RowSource: Sendable {
    var rowCount: Int { get }
    /// Of the columns; empty where all are texts.
    var encodings: [CellEncoding] { get }

    /// Calls `body` with the texts of one row, which are valid until it returns.
    func withRow<Value>(_ number: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Value) rethrows -> Value

    /// The same with the rows from this one on, while `body` takes them; the number of the row that it did not take.
    func withRows(from first: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Bool) rethrows -> Int
}

extension RowSource {
    public var encodings: [CellEncoding] { [] }

    public func withRows(from first: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Bool) rethrows -> Int {
        var number = first
        while number < rowCount, try withRow(number, body) { number += 1 }
        return number
    }
}
