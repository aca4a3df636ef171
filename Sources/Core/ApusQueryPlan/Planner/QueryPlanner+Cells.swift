internal import ApusCells
internal import ApusGraphQL
internal import ApusSchemas

/// `h3`: each field in its `data` is a statement, and what they tell of cells is put side by side.
extension QueryPlanner {
    func cells(
        _ field: CollectedField, on type: NamedType, _ path: [String], _ request: RequestContext, _ statements: inout [StatementPlan]
    ) throws(GraphQLError) -> CellsPlan {
        let use = try request.use(of: field, on: type)
        guard let number = use.arguments["resolution"]?.asInteger, let resolution = Int(exactly: number),
            let grid = CellGrid(resolution: resolution)
        else { throw GraphQLError("Argument \"resolution\" must be a resolution of H3: 0 to 15.") }
        var plan = CellsPlan(path: path, resolution: resolution)
        if request.hasDirective("stats", field) { plan.measuredName = field.name }
        /// Of distributions, by where the request names them.
        var sources: [ArraySlice<String>: CellMember] = [:]
        var data: [String: [CellsPlan.Field]] = [:]
        for field in use.fields where field.name == "data" {
            let path = path + [field.responseKey]
            let below = try request.use(of: field, on: use.type)
            for member in below.fields {
                let value: CellsPlan.Value
                do throws(GraphQLError) {
                    value = try self.member(member, below.type, path, grid, request, &plan, &statements, &sources)
                } catch {
                    throw request.located(error, member, path + [member.responseKey])
                }
                data[field.responseKey, default: []].append(CellsPlan.Field(member.responseKey, value))
            }
        }
        guard !plan.members.isEmpty else { throw GraphQLError("\"\(field.name)\" tells of cells with data; ask for some in \"data\".") }
        for field in use.fields {
            let value: CellsPlan.Value
            switch field.name {
            case "cell": value = .cell
            case "resolution": value = .resolution
            case "geom": value = .boundary
            case "data": value = .data(data[field.responseKey] ?? [])
            case "__typename": value = .text(JSONText.quoted(use.type.name))
            default:
                do throws(GraphQLError) {
                    plan.distributions.append(try CellDistribution(try request.use(of: field, on: use.type), sources))
                    value = .distribution(plan.distributions.count - 1)
                } catch {
                    throw request.located(error, field, path + [field.responseKey])
                }
            }
            plan.fields.append(CellsPlan.Field(field.responseKey, value))
        }
        return plan
    }

    private func member(
        _ field: CollectedField, _ type: NamedType, _ path: [String], _ grid: CellGrid, _ request: RequestContext,
        _ plan: inout CellsPlan, _ statements: inout [StatementPlan], _ sources: inout [ArraySlice<String>: CellMember]
    ) throws(GraphQLError) -> CellsPlan.Value {
        guard let meaning = api.meaning(of: field.name, on: type.name) else { return .text(JSONText.quoted(type.name)) }
        let object: DataObject
        switch meaning {
        case .list(let name), .aggregation(let name), .buckets(let name): object = try request.object(name)
        default: throw GraphQLError("\"\(field.name)\" has no cells.")
        }
        let use = try request.use(of: field, on: type)
        let statement = try StatementBuilder.cells(object, meaning, use, in: grid, request)
        let isMeasured = request.hasDirective("stats", field)
        let path = path + [field.responseKey]
        statements.append(
            statement.with {
                $0.path = path
                $0.measuredName = isMeasured ? field.name : nil
            })
        plan.members.append(CellsPlan.Member(path: path, statement: statements.count - 1, isInner: use.given("inner")?.asBool == true))
        let number = plan.members.count - 1
        if let shape = statement.batches.first?.program.shape.levels.first?.item {
            sources[path.suffix(2)] = CellMember(number: number, meaning: meaning, shape: shape, use: use)
        }
        return .member(number)
    }
}

/// A field in `data`, as a distribution may name it.
struct CellMember {
    var number: Int
    var meaning: RootField
    /// What is told of a cell, or of a bucket in it.
    var shape: Shape
    var use: FieldUse
}

extension CellsPlan.Field {
    init(_ key: String, _ value: CellsPlan.Value) { self.init(name: JSONText.quoted(key) + [UInt8(ascii: ":")], value: value) }
}

extension CellDistribution {
    init(_ use: FieldUse, _ members: [ArraySlice<String>: CellMember]) throws(GraphQLError) {
        isList = use.field.name == "distribution_by_bucket"
        numerator = try Self.source("numerator", use, members)
        denominator = try Self.source("denominator", use, members)
        guard !isList || numerator.key != nil || denominator.key != nil else {
            throw GraphQLError("\"\(use.field.name)\" needs a numerator or denominator in buckets; without them it is distribution_by.")
        }
        fields = use.fields.compactMap { field in
            Value(rawValue: field.name).map { (JSONText.quoted(field.responseKey) + [UInt8(ascii: ":")], $0) }
        }
    }

    /// `data.buildings.area.sum`: response keys, from the cell to a number.
    private static func source(
        _ argument: String, _ use: FieldUse, _ members: [ArraySlice<String>: CellMember]
    ) throws(GraphQLError) -> Source {
        let path = (use.arguments[argument]?.asString ?? "").split(separator: ".").map(String.init)
        func refused(_ why: String) -> GraphQLError {
            GraphQLError("Argument \"\(argument)\" is \"\(path.joined(separator: "."))\", \(why).")
        }
        guard let member = members[path.prefix(2)] else {
            throw refused("which leads to no aggregation; write the response keys from data on, as in data.buildings.area.sum")
        }
        let rest = Array(path.dropFirst(2))
        guard let format = member.shape.format(at: rest), [.number, .integer, .int32, .count].contains(format.scalar), !format.isList else {
            throw refused("which is no number that is asked for there")
        }
        switch member.meaning {
        case .aggregation: return Source(member: member.number, path: rest)
        case .buckets where use.field.name != "distribution_by_bucket":
            throw refused("which is of buckets; distribution_by_bucket takes those")
        case .buckets:
            let key = (use.given("\(argument)_key")?.asString ?? "").split(separator: ".").map(String.init)
            guard key.count == 3, Array(key.prefix(2)) == Array(path.prefix(2)),
                member.use.fields.contains(where: { $0.name == "key" && $0.responseKey == key[2] })
            else {
                throw GraphQLError(
                    "Argument \"\(argument)_key\" must be the key of the same buckets, as in \(path.prefix(2).joined(separator: ".")).key.")
            }
            return Source(member: member.number, path: rest, key: key[2])
        default: throw refused("which is a list of rows, and no aggregation")
        }
    }
}

extension Shape {
    /// The format of the value at a path of response keys.
    fileprivate func format(at path: [String]) -> ValueFormat? {
        switch self {
        case .value(_, let format): return path.isEmpty ? format : nil
        case .object(let members, _):
            return members.first { $0.key == path.first }?.shape.format(at: Array(path.dropFirst()))
        case .text, .nested, .batch: return nil
        }
    }
}
