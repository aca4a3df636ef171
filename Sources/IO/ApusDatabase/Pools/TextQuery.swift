/// One statement as a pool sends it: parameters are `$1`, `$2`, … and travel as text, nil for NULL.
public struct TextQuery: Sendable {
    public var sql: StaticSQL
    public var parameters: [[UInt8]?]
    /// Known to take long; others are found out.
    public var isLong = false

    public init(_ sql: StaticSQL, _ parameters: [[UInt8]?] = []) {
        self.sql = sql
        self.parameters = parameters
    }
}
