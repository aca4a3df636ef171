internal import ApusGraphQL
internal import ApusTypes

/// The cells of several statements' geometries in a reply.
extension PlanRunner {
    func write(_ plan: CellsPlan, _ roots: [Root?], to output: inout ReplyBuffer) async throws {
        guard let reply = try await CellsReply(plan, roots, self) else { return output.append("null") }
        output.append(UInt8(ascii: "["))
        for cell in 0..<reply.count {
            if cell > 0 { output.append(UInt8(ascii: ",")) }
            await CellsReply.pause(at: cell)
            try reply.write(cell, to: &output)
            guard output.count <= limits.replyBytes else { throw plan.isTooLarge(limits) }
        }
        output.append(UInt8(ascii: "]"))
    }

    /// The same as a table.
    func table(_ plan: CellsPlan, _ roots: [Root?], _ form: TableForm) async throws -> ReplyPart {
        guard let reply = try await CellsReply(plan, roots, self) else {
            return ReplyPart(path: plan.path, content: .json(Array("null".utf8)))
        }
        let columns = CellsTable(plan, roots.compactMap { $0?.node?.call.statement })
        let writer = try TableWriter(columns.statement, values, limits, form)
        var pieces: [[UInt8]] = []
        var byteCount = 0
        for start in stride(from: 0, to: reply.count, by: CellsReply.cellsAtOnce) {
            await CellsReply.pause(at: start)
            let rows = try columns.rows(of: reply, start..<min(start + CellsReply.cellsAtOnce, reply.count))
            try await writer.add(rows, batch: { _ in rows }, emit: { pieces.append($0) })
            byteCount += rows.byteCount
            guard byteCount <= limits.replyBytes else { throw plan.isTooLarge(limits) }
        }
        try await writer.finish { pieces.append($0) }
        var part = ReplyPart(path: plan.path, content: .made(pieces))
        part.geometry = writer.geometry
        return part
    }
}

extension CellsPlan {
    func sharesTooMuch(_ limits: PlanLimits) -> GraphQLError {
        GraphQLError(
            "The distributions of \"\(path.joined(separator: "."))\" come to more than \(limits.cells) numbers, which is the limit; ask for a lower resolution, or for fewer buckets.",
            path: path.map { .key($0) })
    }

    fileprivate func isTooLarge(_ limits: PlanLimits) -> GraphQLError {
        GraphQLError(
            "\"\(path.joined(separator: "."))\" makes the reply larger than \(limits.replyBytes) bytes, which is the limit; ask for a lower resolution, or for inner fields.",
            path: path.map { .key($0) })
    }
}
