internal import ApusArrow
public import ApusTypes

/// What happened, where replies are tables: one object as a table of one row.
public enum EventTable {
    /// A whole stream of Arrow with a column of text for each member; what is no text is told as JSON. Nil for what is no object.
    public static func written(_ json: [UInt8], metadata: [(key: String, value: String)]) throws -> [UInt8]? {
        guard let members = try JSONValue(parsing: json).asObject else { return nil }
        let table = try ArrowTable(members.map { ArrowField($0.key, .text) }, metadata: metadata)
        let isTaken = table.withBatch { row in
            for (index, member) in members.enumerated() {
                let column = row.child(index)
                let isTaken =
                    member.value.isNull
                    ? column.appendNull()
                    : Array((member.value.asString ?? member.value.description).utf8).withUnsafeBytes { column.append($0) }
                guard isTaken else { return false }
            }
            return row.finishElement()
        }
        guard isTaken else { throw ArrowTable.Failure() }
        return try table.schema() + table.takeBatch() + ArrowTable.end
    }
}
