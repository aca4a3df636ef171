internal import ApusGraphQL
internal import ApusSchemas
public import ApusTypes

/// Carries a plan out: gives statements to whoever runs them, asks batches for the keys that were found, and puts the reply together.
/// It holds the JSON of the reply and the keys of batches; more than the limits is an error.
public struct PlanRunner: Sendable {
    private let plan: PlanTemplate
    private let values: RequestValues
    private let limits: PlanLimits

    public init(_ plan: OperationPlan, limits: PlanLimits = PlanLimits()) {
        self.plan = plan.template
        values = plan.values
        self.limits = limits
    }

    /// Runs all of the calls, which do not depend on each other: those of one source in one round trip, sources side by side. Returns when each
    /// call's rows were given to it; throws what makes the operation fail. Mutations come as one call at a time.
    public typealias Run = ([StatementCall]) async throws -> Void

    public struct Reply: Sendable {
        /// The value of `data`.
        public var data: [UInt8]
        /// The paths of lists that a default limit cut.
        public var truncated: [[String]] = []
        public var transforms: [Transform] = []
    }

    /// What a jq program is to make something of.
    public struct Transform: Sendable {
        /// Of the field: response keys from the root.
        public var path: [String]
        public var program: String
        /// The object that the field's query came to, as JSON.
        public var input: [UInt8]
    }

    public func reply(_ run: Run) async throws -> Reply {
        let roots = try plan.statements.map { Node(try StatementCall($0, values, [], limits)) }
        if plan.statements.contains(where: \.isMutation) {
            for root in roots { try await self.run([root], run) }
        } else {
            try await self.run(roots, run)
        }
        var output = ReplyBuffer(capacity: roots.reduce(256) { $0 + $1.call.rows.byteCount })
        defer { output.free() }
        var transforms: [Transform] = []
        try write(plan.data, roots, to: &output, &transforms)
        return Reply(
            data: Array(output.bytes), truncated: roots.filter(\.call.rows.isTruncated).map(\.call.statement.path), transforms: transforms)
    }

    /// A statement that was run, and what was asked with the keys of its rows; nil where there were none.
    private final class Node {
        let call: StatementCall
        var batches: [Node?] = []

        init(_ call: StatementCall) { self.call = call }
    }

    /// Statements, then what is asked with keys of their rows, and so on.
    private func run(_ roots: [Node], _ run: Run) async throws {
        var nodes = roots
        while !nodes.isEmpty {
            for node in nodes { try checkParameters(node.call) }
            try await run(nodes.map(\.call))
            for node in nodes {
                node.call.rows.finish()
                try checkRows(node.call)
                node.batches = try node.call.statement.batches.indices.map { index in
                    let keys = node.call.rows.keys[index]
                    try checkKeys(keys, of: node.call.statement.batches[index], node.call.statement)
                    return keys.count == 0
                        ? nil : Node(try StatementCall(node.call.statement.batches[index], values, keys.columns, limits))
                }
            }
            nodes = nodes.flatMap { $0.batches.compactMap { $0 } }
        }
    }

    // MARK: Limits

    private func checkParameters(_ call: StatementCall) throws {
        let bytes = call.parameters.reduce(0) { $0 + $1.byteCount }
        guard bytes <= limits.parameterBytes else {
            throw error(call.statement, "is asked with \(bytes) bytes of values, and \(limits.parameterBytes) are the limit; give fewer.")
        }
    }

    private func checkKeys(_ keys: BatchKeys, of batch: StatementPlan, _ statement: StatementPlan) throws {
        guard keys.count <= limits.keys else {
            throw error(statement, "leads to rows by \(keys.count) keys, and \(limits.keys) are the limit; ask for fewer rows.")
        }
        guard batch.action == nil || keys.count <= limits.calls else {
            throw error(statement, "calls a function for \(keys.count) rows, and \(limits.calls) are the limit; ask for fewer rows.")
        }
    }

    private func checkRows(_ call: StatementCall) throws {
        switch call.rows.problem {
        case nil: return
        case .rows: throw error(call.statement, "has more than \(limits.rows) rows, which is the limit; give a limit.")
        case .bytes: throw tooLarge(call.statement)
        case .columns: throw error(call.statement, "was answered by data source \"\(call.statement.source)\" with rows of another form.")
        case .value(let place, let format):
            let field = call.statement.path + place.split(separator: ".").map(String.init)
            let type = (format.isList ? "list of " : "") + format.scalar.name
            throw GraphQLError(
                "Data source \"\(call.statement.source)\" holds a value for \"\(field.joined(separator: "."))\" that is no \(type); correct the data, or the type in the schema.",
                path: call.statement.path.map { .key($0) })
        }
    }

    private func tooLarge(_ statement: StatementPlan) -> GraphQLError {
        error(statement, "makes the reply larger than \(limits.replyBytes) bytes, which is the limit; ask for fewer rows or fields.")
    }

    private func error(_ statement: StatementPlan, _ what: String) -> GraphQLError {
        GraphQLError("\"\(statement.path.joined(separator: "."))\" \(what)", path: statement.path.map { .key($0) })
    }

    // MARK: The reply

    private func write(
        _ part: PlanTemplate.Node, _ roots: [Node], to output: inout ReplyBuffer, _ transforms: inout [Transform]
    ) throws {
        switch part {
        case .text(let bytes): output.append(bytes)
        case .statement(let index): try write(roots[index].call.rows.whole, of: roots[index], to: &output)
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                output.append(member.name)
                try write(member.node, roots, to: &output, &transforms)
            }
            output.append(UInt8(ascii: "}"))
        case .transformed(let transform, let inner):
            var origin = ReplyBuffer(capacity: 1024)
            defer { origin.free() }
            try write(inner, roots, to: &origin, &transforms)
            transforms.append(Transform(path: transform.path, program: transform.program, input: Array(origin.bytes)))
            if transform.includesOrigin { output.append(origin.bytes) } else { output.append("null") }
        }
    }

    /// A part of a statement's output with its holes filled from what its batches found.
    private func write(_ piece: RowAssembler.Piece, of node: Node, to output: inout ReplyBuffer) throws {
        let rows = node.call.rows
        var start = piece.bytes.lowerBound
        for hole in rows.holes[piece.holes] {
            output.append(rows.bytes(start..<hole.offset))
            start = hole.offset
            if let batch = node.batches[hole.batch], let found = batch.call.rows.piece(of: hole.key) {
                try write(found, of: batch, to: &output)
            } else {
                output.append(node.call.statement.batches[hole.batch].program.shape.absent)
            }
        }
        output.append(rows.bytes(start..<piece.bytes.upperBound))
        // Keys may share what was found for them, so that the whole is larger than its parts.
        if output.count > limits.replyBytes { throw tooLarge(node.call.statement) }
    }
}

/// A statement to run with the values of its parameters.
public struct StatementCall: Sendable {
    public let statement: StatementPlan
    public let parameters: [BoundParameter]
    /// Of a function that a source calls itself: the arguments of each call. Of a batch, a row says first to which of them it belongs.
    public private(set) var calls: [JSONObject] = []
    /// The values of placeholders such as `[$auth.user_id]`, by their names.
    public let identity: JSONObject
    /// Takes the rows in their order.
    public let rows: RowAssembler

    init(_ statement: StatementPlan, _ values: RequestValues, _ keys: [[[UInt8]]], _ limits: PlanLimits) throws(GraphQLError) {
        self.statement = statement
        var parameters: [BoundParameter] = []
        parameters.reserveCapacity(statement.sql.parameters.count)
        do throws(GraphQLError) {
            for value in statement.sql.parameters { parameters.append(try BoundParameter(value, values, keys: keys)) }
        } catch {
            throw GraphQLError(error.message, path: statement.path.map { .key($0) })
        }
        self.parameters = parameters
        rows = RowAssembler(statement, mostRows: limits.rows, mostBytes: limits.replyBytes)
        identity = values.identity
        if let action = statement.action { calls = try calls(of: action, keys: keys, values) }
    }
}
