internal import ApusCells
internal import ApusGraphQL

/// What a client is told when a statement's limits or rows make a reply impossible.
extension StatementPlan {
    func failure(_ problem: RowAssembler.Problem, _ limits: PlanLimits) -> GraphQLError {
        switch problem {
        case .rows: return error("has more than \(limits.rows) rows, which is the limit; give a limit.")
        case .bytes:
            return error("makes the reply larger than \(limits.replyBytes) bytes, which is the limit; ask for fewer rows or fields.")
        case .columns: return error("was answered by data source \"\(source)\" with rows of another form.")
        case .value(let place, let format):
            let field = path + place.split(separator: ".").map(String.init)
            let type = (format.isList ? "list of " : "") + format.scalar.name
            return GraphQLError(
                "Data source \"\(source)\" holds a value for \"\(field.joined(separator: "."))\" that is no \(type); correct the data, or the type in the schema.",
                path: path.map { .key($0) })
        case .cells(let problem): return error(problem.text(limits))
        }
    }

    func hasTooManyKeys(_ count: Int, _ limits: PlanLimits) -> GraphQLError {
        error("leads to rows by \(count) keys, and \(limits.keys) are the limit; ask for fewer rows.")
    }

    func error(_ what: String) -> GraphQLError {
        GraphQLError("\"\(path.joined(separator: "."))\" \(what)", path: path.map { .key($0) })
    }
}

extension CellProblem {
    fileprivate func text(_ limits: PlanLimits) -> String {
        switch self {
        case .malformed: "has a geometry of a kind that has no cells: neither points, lines nor polygons."
        case .outside(let position):
            "has a geometry with the position (\(position.longitude), \(position.latitude)), which is no longitude and latitude; name its system in transform_from."
        case .tooMany: "touches more than \(limits.cells) cells, which is the limit; ask for a lower resolution, or filter."
        case .tooDetailed:
            "has geometries with too many corners for so many cells; ask for a lower resolution, filter, or have them simplified."
        case .failed(let code): "has a geometry that the grid of cells refuses (error \(code) of H3)."
        }
    }
}

extension StatementCall {
    func checkParameters(_ limits: PlanLimits) throws {
        let bytes = parameters.reduce(0) { $0 + $1.byteCount }
        guard bytes <= limits.parameterBytes else {
            throw statement.error("is asked with \(bytes) bytes of values, and \(limits.parameterBytes) are the limit; give fewer.")
        }
    }
}
