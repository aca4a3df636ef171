internal import ApusSchemas
internal import ApusTypes

/// A plan as people read it: statements with their parameters, and where columns go.
extension OperationPlan: CustomStringConvertible {
    public var description: String { statements.map { $0.text(values, indentation: "") }.joined(separator: "\n") }
}

extension StatementPlan {
    fileprivate func text(_ values: RequestValues, indentation: String, batch: Int? = nil) -> String {
        let title = batch.map { "batch \($0)" } ?? path.joined(separator: ".")
        var lines = ["-- \(title) (\(source), \(engine.rawValue))"] + sql.text.split(separator: "\n").map(String.init)
        for (index, parameter) in sql.parameters.enumerated() { lines.append("--   $\(index + 1) = \(parameter.text(values))") }
        lines.append("--   rows: \(program.shape.text)")
        let own = lines.map { indentation + $0 + "\n" }.joined()
        return own + batches.enumerated().map { $1.text(values, indentation: indentation + "    ", batch: $0) }.joined()
    }
}

extension SQLParameter.Value {
    /// As it goes to the database, with what a variable or the identity has to do with it.
    fileprivate func text(_ request: RequestValues) -> String {
        switch self {
        case .keys(let column): return "keys, column \(column)"
        case .keyRows(let encodings): return "keys, JSON of \(encodings.map { "\($0)" }.joined(separator: ", "))"
        case .value, .list, .variable, .identity, .object, .points:
            var note = ""
            if case .variable(let number, _) = self { note = " (variable \(number))" }
            if case .identity(let name) = self { note = " (\(name))" }
            switch try? BoundParameter(self, request, keys: []) {
            case .value(let value)?: return value.description + note
            case .list(let values)?: return "list \(values.map(\.description))" + note
            case .points(let question)?: return "points \(question)"
            case .text, nil: return "a value that is refused" + note
            }
        }
    }
}

extension RowShape {
    fileprivate var text: String {
        if case .cells(let resolution) = result { return "geometries, each with its cells of resolution \(resolution)" }
        let by = group.map { "by key number \($0): " } ?? ""
        return by + text(level: 0, prefix: result == .list ? "list of " : "one ")
    }

    private func text(level: Int, prefix: String) -> String {
        guard level < levels.count else { return "nothing" }
        let current = levels[level]
        var notes = ""
        if !current.key.isEmpty { notes += "key \(current.key.map(String.init).joined(separator: " ")) " }
        if let presence = current.presence { notes += "if \(presence) " }
        if let limit = current.limit { notes += "up to \(limit) " }
        return prefix + notes + current.item.text { text(level: level + 1, prefix: "list of ") }
    }
}

extension Shape {
    fileprivate func text(nested: () -> String) -> String {
        switch self {
        case .nested: return nested()
        case .text(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .value(let column, let format): return "\(column) \(format.name)"
        case .batch(let batch, let key): return "batch \(batch) by \(key.map(String.init).joined(separator: " "))"
        case .object(let members, let presence):
            let parts = members.map { member in
                "\(member.key): \(member.shape.text(nested: nested))"
            }
            return "{\(parts.joined(separator: ", "))}" + (presence.map { " if \($0)" } ?? "")
        }
    }
}
