public import ApusGraphQL
internal import ApusSchemas
public import ApusTypes

/// Carries a plan out: gives statements to whoever runs them, asks batches for the keys that were found, and puts the reply together.
/// It holds the JSON of the reply and the keys of batches; more than the limits is an error.
public struct PlanRunner: Sendable {
    private let plan: PlanTemplate
    let values: RequestValues
    let limits: PlanLimits
    private let isPartial: Bool

    /// `isPartial`: a field that fails is null, and the others are told; mutations are done whole or not at all.
    public init(_ plan: OperationPlan, limits: PlanLimits = PlanLimits(), isPartial: Bool = false) {
        self.isPartial = isPartial && plan.kind != .mutation
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
        /// Of fields that are null because of them.
        public var errors: [GraphQLError] = []
    }

    /// What a jq program is to make something of.
    public struct Transform: Sendable {
        /// Of the field: response keys from the root.
        public var path: [String]
        public var program: String
        /// The object that the field's query came to, as JSON.
        public var input: [UInt8]
    }

    /// What one statement tells.
    public struct Part: Sendable {
        /// JSON.
        public var data: [UInt8]
        public var isTruncated: Bool

        public init(data: [UInt8], isTruncated: Bool) {
            self.data = data
            self.isTruncated = isTruncated
        }
    }

    /// `known` are parts of the reply that need not be asked for, by the numbers of their statements; empty: all are asked for.
    public func reply(knowing known: [Part?] = [], _ run: Run) async throws -> Reply {
        var roots = known.isEmpty ? [Root?](repeating: nil, count: plan.statements.count) : known.map { $0.map { .known($0) } }
        let asked = roots.indices.filter { roots[$0] == nil }
        if !asked.isEmpty {
            for (index, node) in zip(asked, try await nodes(asked, run)) { roots[index] = .asked(node) }
        }
        var output = ReplyBuffer(capacity: roots.reduce(256) { $0 + ($1?.byteCount ?? 0) })
        defer { output.free() }
        var transforms: [Transform] = []
        try await write(plan.data, roots, to: &output, &transforms)
        return Reply(
            data: Array(output.bytes), truncated: zip(roots, plan.statements).filter { $0.0?.isTruncated == true }.map(\.1.path),
            transforms: transforms, errors: roots.compactMap { $0?.node?.failure })
    }

    /// The same in parts: each field that is no module by itself. Lists of rows are not run; whoever asks does so, through `table`.
    public func parts(_ form: TableForm, _ run: Run) async throws -> [ReplyPart] {
        let transformed = plan.data.statements(onlyTransformed: true)
        let statements = plan.statements.indices.filter { index in
            plan.kind == .mutation || transformed.contains(index) || !plan.statements[index].isTable(orRow: form.hasRowsOnly)
        }
        let inCells = plan.data.cells.flatMap { $0.members.map(\.statement) }
        if form.hasRowsOnly, let other = statements.first(where: { !inCells.contains($0) || transformed.contains($0) }) {
            throw plan.statements[other].error("is no list of rows and no object, which is all that can be told here.")
        }
        var roots = [Root?](repeating: nil, count: plan.statements.count)
        for (index, node) in zip(statements, try await nodes(statements, run)) { roots[index] = .asked(node) }
        var parts: [ReplyPart] = []
        try await add(plan.data, [], roots, form, to: &parts)
        guard parts.count <= form.mostParts else {
            throw GraphQLError("\(parts.count) fields are asked for, and \(form.mostParts) can be told here.")
        }
        return parts
    }

    private func nodes(_ statements: some Sequence<Int>, _ run: Run) async throws -> [Node] {
        let roots = try statements.map { Node(try StatementCall(plan.statements[$0], values, [], limits)) }
        if isPartial {
            for root in roots {
                do { try await self.run([root], run) } catch let error as GraphQLError { root.failure = error }
            }
        } else if plan.kind == .mutation {
            for root in roots { try await self.run([root], run) }
        } else {
            try await self.run(roots, run)
        }
        return roots
    }

    private func add(
        _ part: PlanTemplate.Node, _ path: [String], _ roots: [Root?], _ form: TableForm, to parts: inout [ReplyPart]
    ) async throws {
        var output = ReplyBuffer(capacity: 256)
        defer { output.free() }
        switch part {
        case .object(let members):
            for member in members {
                let name = member.name.dropLast().withUnsafeBytes { JSONScanner.text(of: $0) } ?? ""
                try await add(member.node, path + [name], roots, form, to: &parts)
            }
        case .text(let bytes): parts.append(ReplyPart(path: path, content: .json(bytes)))
        case .cells(let cells): parts.append(try await table(cells, roots, form))
        case .transformed:
            // As JSON, whatever is in it: a program takes nothing else.
            var transforms: [Transform] = []
            try await write(part, roots, to: &output, &transforms)
            parts.append(ReplyPart(path: path, content: .json(Array(output.bytes))))
            parts += transforms.map { ReplyPart(path: $0.path, content: .transform($0)) }
        case .statement(let index):
            guard let root = roots[index]?.node else { return parts.append(ReplyPart(path: path, content: .table(statement: index))) }
            try write(root.call.rows.whole, of: root, to: &output)
            let statement = root.call.statement
            var part = ReplyPart(path: path, content: .json(Array(output.bytes)))
            part.geometry = GeometryColumn.all(of: statement, inTable: false)
            part.isTruncated = root.call.rows.isTruncated
            parts.append(part)
        }
    }

    /// What writes the rows of a list as a table.
    public func table(_ statement: Int, _ form: TableForm) throws -> TableWriter {
        try TableWriter(plan.statements[statement], values, limits, form)
    }

    /// What one statement tells, with what its batches find.
    public func part(_ statement: Int, _ run: Run) async throws -> Part {
        let root = Node(try StatementCall(plan.statements[statement], values, [], limits))
        try await self.run([root], run)
        var output = ReplyBuffer(capacity: root.call.rows.byteCount + 256)
        defer { output.free() }
        try write(root.call.rows.whole, of: root, to: &output)
        return Part(data: Array(output.bytes), isTruncated: root.call.rows.isTruncated)
    }

    enum Root {
        case known(Part)
        case asked(Node)

        var node: Node? { if case .asked(let node) = self { node } else { nil } }

        var byteCount: Int {
            switch self {
            case .known(let part): part.data.count
            case .asked(let node): node.call.rows.byteCount
            }
        }

        var isTruncated: Bool {
            switch self {
            case .known(let part): part.isTruncated
            case .asked(let node): node.call.rows.isTruncated
            }
        }
    }

    /// A statement that was run, and what was asked with the keys of its rows; nil where there were none.
    final class Node {
        let call: StatementCall
        var batches: [Node?] = []
        var failure: GraphQLError?

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
                if let cells = node.call.rows.cells {
                    node.batches = [try touched(cells, node.call)]
                    continue
                }
                node.batches = try node.call.statement.batches.indices.map { index in
                    let keys = node.call.rows.keys[index]
                    try checkKeys(keys, of: node.call.statement.batches[index], node.call.statement)
                    return keys.count == 0
                        ? nil
                        : Node(try StatementCall(node.call.statement.batches[index], values, keys.columns, limits, for: node.call.path))
                }
            }
            nodes = nodes.flatMap { $0.batches.compactMap { $0 } }
        }
    }

    /// What is asked of the rows in cells; nil without any.
    private func touched(_ cells: CellCollector, _ call: StatementCall) throws -> Node? {
        guard !cells.cells.isEmpty, let batch = call.statement.batches.first else { return nil }
        return Node(try StatementCall(batch, values, [], lists: cells.lists, limits, for: call.path))
    }

    // MARK: Limits

    private func checkParameters(_ call: StatementCall) throws { try call.checkParameters(limits) }

    private func checkKeys(_ keys: BatchKeys, of batch: StatementPlan, _ statement: StatementPlan) throws {
        guard keys.count <= limits.keys else { throw statement.hasTooManyKeys(keys.count, limits) }
        guard batch.action == nil || keys.count <= limits.calls else {
            throw statement.error("calls a function for \(keys.count) rows, and \(limits.calls) are the limit; ask for fewer rows.")
        }
    }

    private func checkRows(_ call: StatementCall) throws {
        if let problem = call.rows.problem { throw call.statement.failure(problem, limits) }
    }

    // MARK: The reply

    private func write(
        _ part: PlanTemplate.Node, _ roots: [Root?], to output: inout ReplyBuffer, _ transforms: inout [Transform]
    ) async throws {
        switch part {
        case .text(let bytes): output.append(bytes)
        case .cells(let cells): try await write(cells, roots, to: &output)
        case .statement(let index):
            switch roots[index] {
            case .known(let part)?: output.append(part.data)
            case .asked(let node)? where node.failure == nil: try write(node.call.rows.whole, of: node, to: &output)
            case .asked?, nil: output.append("null")
            }
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                output.append(member.name)
                try await write(member.node, roots, to: &output, &transforms)
            }
            output.append(UInt8(ascii: "}"))
        case .transformed(let transform, let inner):
            var origin = ReplyBuffer(capacity: 1024)
            defer { origin.free() }
            try await write(inner, roots, to: &origin, &transforms)
            transforms.append(Transform(path: transform.path, program: transform.program, input: Array(origin.bytes)))
            if transform.includesOrigin { output.append(origin.bytes) } else { output.append("null") }
        }
    }

    /// A part of a statement's output with its holes filled from what its batches found.
    func write(_ piece: RowAssembler.Piece, of node: Node, to output: inout ReplyBuffer) throws {
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
        if output.count > limits.replyBytes { throw node.call.statement.failure(.bytes, limits) }
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
    /// The response field that it is for, of a batch that of the statement that it belongs to.
    public let path: [String]

    /// `keys`: of the rows that a batch is for, by columns; or `lists`, as their database reads them.
    init(
        _ statement: StatementPlan, _ values: RequestValues, _ keys: [[[UInt8]]], lists: [[UInt8]] = [], _ limits: PlanLimits,
        for path: [String]? = nil
    ) throws(GraphQLError) {
        self.statement = statement
        self.path = path ?? statement.path
        var parameters: [BoundParameter] = []
        parameters.reserveCapacity(statement.sql.parameters.count)
        do throws(GraphQLError) {
            for value in statement.sql.parameters { parameters.append(try BoundParameter(value, values, keys: keys, lists: lists)) }
        } catch {
            throw GraphQLError(error.message, path: statement.path.map { .key($0) })
        }
        self.parameters = parameters
        rows = RowAssembler(statement, limits)
        identity = values.identity
        if let action = statement.action { calls = try calls(of: action, keys: keys, values) }
    }
}
