/// Rows that are held somewhere, to be gone through more than once.
public protocol RowSource: Sendable {
    var rowCount: Int { get }
    /// Of the columns; empty where all are texts.
    var encodings: [CellEncoding] { get }

    /// Calls `body` with the texts of one row, which are valid until it returns.
    func withRow<Value>(_ number: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Value) rethrows -> Value
}

extension RowSource {
    public var encodings: [CellEncoding] { [] }
}
