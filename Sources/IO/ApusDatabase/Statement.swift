public import ApusQueryPlan

/// One SQL statement with its parameters. The text is a constant of the program; values only ever travel as parameters.
///
/// Parameters take their type from where they stand (a column, a function's argument); where that is ambiguous the statement
/// says `CAST($1 AS bigint)`. Text holds no NUL character.
public struct Statement: Sendable {
    public var sql: StaticSQL
    public var parameters: [SQLValue]
    /// Whether the connection keeps it prepared. Not for statements that are run once, such as migrations.
    public var isPrepared: Bool
    /// Whether PostgreSQL tells columns of any type as it writes them, as text. SQLite tells what it holds.
    public var tellsText = false

    public init(_ sql: StaticSQL, _ parameters: [SQLValue] = []) {
        self.sql = sql
        self.parameters = parameters
        isPrepared = true
    }

    /// A statement that is run once and not kept.
    public static func once(_ sql: StaticSQL, _ parameters: [SQLValue] = []) -> Statement {
        var statement = Statement(sql, parameters)
        statement.isPrepared = false
        return statement
    }
}

/// SQL that came from literals: it can only be made from a literal or joined from such, so that no request's
/// text reaches a statement. The text is the name under which it is prepared, once for each connection.
public struct StaticSQL: Hashable, Sendable, ExpressibleByStringLiteral {
    public let text: String

    public init(stringLiteral value: StaticString) { text = value.description }
    init(joined: String) { text = joined }

    /// What the query planner made of literals, quoted names and the SQL of a schema's author: nobody else can make such a statement.
    public init(_ statement: SQLStatement) { text = statement.text }

    public static func + (left: StaticSQL, right: StaticSQL) -> StaticSQL { StaticSQL(joined: left.text + right.text) }

    /// A name computed by the program (a partition's): lower-case letters, digits and underscores. Anything else is a defect.
    public static func identifier(_ name: String) -> StaticSQL {
        let isPlain = name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 95 }
        precondition(isPlain && !name.isEmpty && name.utf8.count <= 63, "not a plain SQL identifier")
        return StaticSQL(joined: "\"\(name)\"")
    }

    /// The number of a parameter, behind its `$`.
    public static func place(_ number: Int) -> StaticSQL { StaticSQL(joined: String(number)) }

    /// A number where SQL takes no parameter (a partition's bound).
    public static func literal(_ value: Int64) -> StaticSQL { StaticSQL(joined: "(\(value))") }
}

/// A value that goes to the database or comes from it.
///
/// PostgreSQL's smallint, integer, bigint and oid are integers; text, varchar, name, json, jsonb and uuid are text; bytea is a
/// blob. A column of another type (timestamps, numeric, arrays) must be cast by its statement.
public enum SQLValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case text(String)
    case blob([UInt8])
}
