internal import ApusGraphQL
internal import ApusSchemas
public import ApusTypes

/// Carries a plan out: gives statements to whoever runs them, asks batches for the keys that were found, and puts the reply together.
/// It holds the JSON of the reply and the keys of batches; more rows or keys than the limits are an error.
public struct PlanRunner: Sendable {
    private let plan: OperationPlan
    private let limits: PlanLimits

    public init(_ plan: OperationPlan, limits: PlanLimits = PlanLimits()) {
        self.plan = plan
        self.limits = limits
    }

    /// One statement with the values of its parameters; `run` gives its rows to the assembler in their order.
    public typealias Run = (StatementPlan, [BoundParameter], inout RowAssembler) async throws -> Void

    public struct Reply: Sendable {
        /// The value of `data`.
        public var data: [UInt8]
        /// The paths of lists that a default limit cut.
        public var truncated: [[String]] = []
    }

    public func reply(_ run: Run) async throws -> Reply {
        var reply = Reply(data: [])
        var values: [[UInt8]] = []
        for statement in plan.statements {
            var assembler = RowAssembler(statement.shape, batches: statement.batches.count, mostRows: limits.rows)
            try await run(statement, statement.sql.parameters.map { BoundParameter($0, keys: []) }, &assembler)
            try check(assembler, statement)
            let piece = assembler.finish()
            values.append(piece.filled(try await fill(statement, assembler, run)))
            if assembler.isTruncated { reply.truncated.append(statement.path) }
        }
        write(plan.data, values, to: &reply.data)
        return reply
    }

    private func fill(
        _ statement: StatementPlan, _ assembler: RowAssembler, _ run: Run
    ) async throws -> [RowAssembler.Piece.Found] {
        var found: [RowAssembler.Piece.Found] = []
        for (index, batch) in statement.batches.enumerated() {
            var answer = RowAssembler.Piece.Found(absent: batch.shape.absent)
            let keys = assembler.batchKeys[index]
            guard keys.count <= limits.keys else {
                throw GraphQLError(
                    "\"\(statement.path.joined(separator: "."))\" leads to rows by \(keys.count) keys, and \(limits.keys) are the limit; ask for fewer rows."
                )
            }
            if !keys.isEmpty {
                var inner = RowAssembler(batch.shape, batches: batch.batches.count, mostRows: limits.rows)
                try await run(batch, batch.sql.parameters.map { BoundParameter($0, keys: keys) }, &inner)
                try check(inner, statement)
                let groups = inner.finishGroups()
                let below = try await fill(batch, inner, run)
                answer.values = groups.mapValues { $0.filled(below) }
            }
            found.append(answer)
        }
        return found
    }

    private func check(_ assembler: RowAssembler, _ statement: StatementPlan) throws {
        guard !assembler.isTooLarge else {
            throw GraphQLError(
                "\"\(statement.path.joined(separator: "."))\" has more than \(limits.rows) rows; give a limit.")
        }
    }

    private func write(_ node: OperationPlan.Node, _ values: [[UInt8]], to output: inout [UInt8]) {
        switch node {
        case .text(let bytes): output += bytes
        case .statement(let index): output += values[index]
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                output += member.name
                write(member.node, values, to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }
}

/// A parameter's value as it goes to a database.
public enum BoundParameter: Sendable, Hashable {
    case value(JSONValue)
    case list([JSONValue])
    /// Texts as the database, or another one, told them.
    case keys([[UInt8]])

    init(_ value: SQLParameter.Value, keys: [[[UInt8]]]) {
        switch value {
        case .value(let value): self = .value(value)
        case .list(let values): self = .list(values)
        case .keys(let column): self = .keys(keys.map { $0[column] })
        }
    }

    /// As PostgreSQL reads it in text format; nil for NULL. Lists are array literals, each element quoted.
    public var postgreSQLText: [UInt8]? {
        switch self {
        case .value(let value): return Self.text(value)
        case .list(let values): return Self.array(values.map(Self.text))
        case .keys(let keys): return Self.array(keys)
        }
    }

    /// As SQLite is given it: lists are JSON.
    public var sqliteText: [UInt8]? {
        switch self {
        case .value(let value): return Self.text(value)
        case .list(let values): return JSONValue.array(values).serialized()
        case .keys(let keys): return JSONValue.array(keys.map { .string(String(decoding: $0, as: UTF8.self)) }).serialized()
        }
    }

    private static func text(_ value: JSONValue) -> [UInt8]? {
        switch value {
        case .null: nil
        case .string(let text): Array(text.utf8)
        default: value.serialized()
        }
    }

    private static func array(_ elements: [[UInt8]?]) -> [UInt8] {
        var text: [UInt8] = [UInt8(ascii: "{")]
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            guard let element else {
                text += Array("NULL".utf8)
                continue
            }
            text.append(UInt8(ascii: "\""))
            for byte in element {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { text.append(UInt8(ascii: "\\")) }
                text.append(byte)
            }
            text.append(UInt8(ascii: "\""))
        }
        return text + [UInt8(ascii: "}")]
    }
}
