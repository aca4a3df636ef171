internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes
internal import ApusVectorIndex

/// Collections of this cluster as tables. What a statement asks of them is asked first; the statement then runs over the answers, in an engine
/// that holds nothing else.
final class PointsSource: SQLSource {
    /// The most that one statement may need.
    struct Options: Sendable {
        var points = 20_000
        var bytes: ByteCount = .mebibytes(64)
        /// Keys of a batch that are asked for at once; the engine's filters have a limit.
        var keys = 5000
    }

    let name: String
    let engine = SQLEngine.sqlite
    private let collections: any PointCollections
    private let sql: SQLiteSource
    private let options: Options

    init(_ name: String, _ collections: any PointCollections, options: Options = Options()) async throws {
        self.name = name
        self.collections = collections
        self.options = options
        sql = try await SQLiteSource.open(name, ":memory:", isReadOnly: true)
    }

    func read(_ statement: SourceStatement, deadline: Instant) async throws -> SourceRows {
        var statement = statement
        for (index, parameter) in statement.parameters.enumerated() {
            guard case .points(let question) = parameter else { continue }
            statement.parameters[index] = .text(try await answer(to: try PointsQuestion(question), deadline))
        }
        return try await sql.read(statement, deadline: deadline)
    }

    func transaction<Value: Sendable>(
        deadline: Instant, _ body: (any SourceTransaction) async throws -> Value
    ) async throws -> Value {
        throw ApusError(.sourceRejected, "data source \"\(name)\" takes no writes; write points through the vectors' own interfaces")
    }

    func close() async { await sql.close() }

    // MARK: Answers

    /// Rows as JSON: a list of lists.
    private func answer(to question: PointsQuestion, _ deadline: Instant) async throws -> [UInt8] {
        if question.isCount {
            let filter = try PointFilter.all(question.conditions)
            let count = try await collections.count(question.collection, matching: filter, deadline: deadline)
            return Array("[\(count)]".utf8)
        }
        var parts = PointParts()
        for column in question.columns where column.isTold {
            switch column.path {
            case "id", Self.score: break
            case "payload": parts.members = nil
            case _ where column.type == "Vector": parts.vectors = true
            default:
                let member = String(column.path.prefix { $0 != "." })
                if parts.members?.contains(member) == false { parts.members?.append(member) }
            }
        }
        let points = try await found(question, parts, deadline)
        var rows: [UInt8] = [UInt8(ascii: "[")]
        for point in points {
            if rows.count > 1 { rows.append(UInt8(ascii: ",")) }
            let row = PointRow(point, of: question.collection)
            rows += JSONValue.array(try question.columns.map { $0.isTold ? try row.value(of: $0) : .null }).serialized()
            guard rows.count <= options.bytes.bytes else {
                throw ApusError(
                    .sourceRejected,
                    "data source \"\(name)\" would read more than \(options.bytes) of collection \"\(question.collection)\"; ask for fewer points, or without vectors"
                )
            }
        }
        rows.append(UInt8(ascii: "]"))
        return rows
    }

    private func found(_ question: PointsQuestion, _ parts: PointParts, _ deadline: Instant) async throws -> [FoundPoint] {
        let keys = question.conditions.firstIndex { $0["op"]?.asString == "keys" }
        let given = keys.flatMap { question.conditions[$0]["value"]?.asArray } ?? []
        guard let keys, given.count > options.keys else { return try await asked(question, parts, deadline) }
        guard question.search == nil else {
            throw ApusError(
                .sourceRejected,
                "data source \"\(name)\" was to search among the points of \(given.count) rows, and \(options.keys) are the limit; ask for fewer rows"
            )
        }
        var points: [FoundPoint] = []
        for start in stride(from: 0, to: given.count, by: options.keys) {
            var piece = question
            if case .object(var condition) = piece.conditions[keys] {
                condition["value"] = .array(Array(given[start..<min(given.count, start + options.keys)]))
                piece.conditions[keys] = .object(condition)
            }
            points += try await asked(piece, parts, deadline)
            try check(points.count, question)
        }
        return points
    }

    private func asked(_ question: PointsQuestion, _ parts: PointParts, _ deadline: Instant) async throws -> [FoundPoint] {
        let filter = try PointFilter.all(question.conditions)
        switch question.search {
        case .vector(let vector, let field, let distance, let limit)?:
            try check(limit, question)
            let facts = try await collections.facts(of: question.collection, deadline: deadline)
            guard let searched = facts.fields.first(where: { $0.column == field }) else {
                throw ApusError(.sourceRejected, "collection \"\(question.collection)\" has no vector \"\(field)\"")
            }
            guard distance == searched.metric.distance else {
                throw ApusError(
                    .requestInvalid,
                    "collection \"\(question.collection)\" is searched by \(searched.metric.distance ?? searched.metric.rawValue), not by \(distance)",
                    context: ["field": "distance"])
            }
            return try await collections.search(
                question.collection, vector, field: searched.name, limit: limit, filter: filter, parts, deadline: deadline)
        case .text(let text, let limit)?:
            try check(limit, question)
            let facts = try await collections.facts(of: question.collection, deadline: deadline)
            let vector = try await collections.embed(text, for: question.collection, deadline: deadline)
            return try await collections.search(
                question.collection, vector, field: facts.providerField ?? "", limit: limit, filter: filter, parts, deadline: deadline)
        case nil:
            if case .hasID(let ids) = filter {
                return try await collections.points(question.collection, ids.sorted(), parts, deadline: deadline)
            }
            if let points = try await ordered(question, filter, parts, deadline) { return points }
            // One more shows whether there are more than the engine may be given.
            let limit = min(question.limit ?? .max, options.points + 1)
            let points = try await collections.points(
                question.collection, matching: filter, limit: limit, parts, deadline: deadline)
            try check(points.count, question)
            return points
        }
    }

    /// The first points in the order that is asked for; nil where the collection does not know it as the engine does: there are not as many with
    /// such a value, or what has one is of another type.
    private func ordered(
        _ question: PointsQuestion, _ filter: Filter, _ parts: PointParts, _ deadline: Instant
    ) async throws -> [FoundPoint]? {
        guard let order = question.order, (1...options.points).contains(order.limit),
            let column = question.columns.first(where: { $0.path == order.path && $0.isTold })
        else { return nil }
        let points = try await collections.points(
            question.collection, by: order.path, isDescending: order.isDescending, matching: filter, limit: order.limit, parts,
            deadline: deadline)
        guard points.count == order.limit, Set(points.map(\.id)).count == points.count else { return nil }
        for point in points where try PointRow(point, of: question.collection).value(of: column).isNull { return nil }
        return points
    }

    private func check(_ count: Int, _ question: PointsQuestion) throws(ApusError) {
        guard count > options.points else { return }
        throw ApusError(
            .sourceRejected,
            "data source \"\(name)\" would read more than \(options.points) points of collection \"\(question.collection)\"; say more in the filter, search, or ask for fewer"
        )
    }

    static let score = "_score"
}

extension CollectionFacts.Field {
    /// As schemas name it.
    var column: String { name.isEmpty ? "vector" : name }
}

extension Metric {
    /// In the words of the dialect; nil where it has none.
    var distance: String? {
        switch self {
        case .cosine: "Cosine"
        case .dot: "Inner"
        case .euclidean: "L2"
        case .manhattan: nil
        }
    }
}

/// A point's values as columns have them. A value of a payload that is not of its column's type is null there; the column `payload` has it.
struct PointRow {
    private let point: FoundPoint
    private let payload: JSONValue?
    private let collection: String

    init(_ point: FoundPoint, of collection: String) {
        self.point = point
        self.collection = collection
        payload = point.payload.flatMap { try? JSONValue(parsing: $0) }  // the engine keeps JSON only
    }

    func value(of column: PointsQuestion.Column) throws(ApusError) -> JSONValue {
        switch column.path {
        case "id":
            guard let id = Self.fitting(point.id.json, column.type) ?? Self.fitting(.string(point.id.description), column.type) else {
                throw ApusError(
                    .sourceRejected, "collection \"\(collection)\" has the point \"\(point.id)\", which is no \(column.type)",
                    hint: "declare the field id as String")
            }
            return id
        case PointsSource.score: return point.score.map { .double(Double($0)) } ?? .null
        case "payload": return payload ?? .null
        default:
            if column.type == "Vector" {
                guard let vector = point.vectors[column.path == "vector" ? "" : column.path] else { return .null }
                return .string("[" + vector.map(\.description).joined(separator: ",") + "]")
            }
            var value = payload
            for name in column.path.split(separator: ".") { value = value?[String(name)] }
            return value.flatMap { Self.fitting($0, column.type) } ?? .null
        }
    }

    private static func fitting(_ value: JSONValue, _ type: String) -> JSONValue? {
        if type.hasPrefix("[") {
            // A value stands for a list of it: the engine compares both alike.
            let element = String(type.dropFirst().dropLast())
            return .array((value.asArray ?? [value]).compactMap { fitting($0, element) })
        }
        switch type {
        case "String": return value.asString.map { .string($0) }
        case "Int": return value.asInteger.flatMap { Int32(exactly: $0) }.map { .integer(Int64($0)) }
        case "BigInt": return value.asInteger.map { .integer($0) }
        case "Float": return value.asDouble.map { .double($0) }
        case "Boolean": return value.asBool.map { .bool($0) }
        case "Timestamp", "DateTime": return value.asString.flatMap { PayloadTime($0.utf8) }.map { .string($0.text) }
        case "Date": return value.asString.flatMap { PayloadTime($0.utf8) }.map { .string(String($0.text.prefix(10))) }
        default: return value.isNull ? nil : value
        }
    }
}

extension PointID {
    fileprivate var json: JSONValue {
        if case .integer(let number) = self {
            Int64(exactly: number).map { .integer($0) } ?? .unsigned(number)
        } else {
            .string(description)
        }
    }
}

extension PayloadTime {
    /// RFC 3339 in UTC with microseconds, so that texts are in the order of the moments.
    fileprivate var text: String {
        let milliseconds = (Double(microseconds) / 1000).rounded(.down)
        let rest = microseconds - Int64(milliseconds) * 1000
        return "\(WallTime(millisecondsSinceEpoch: Int64(milliseconds)).description.dropLast())\(String(1000 + rest).dropFirst())Z"
    }
}
