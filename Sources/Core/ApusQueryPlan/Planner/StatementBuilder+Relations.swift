internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Rows of an object under an alias.
struct AliasedRow {
    var object: DataObject
    var alias: SQLFragment
}

/// Ways to related rows, as FROM and conditions.
extension StatementBuilder {
    struct Related {
        var source: SQLFragment
        /// What is equal: an expression of the nearer row, and one of the farther.
        var links: [(near: SQLFragment, far: SQLFragment)]
        /// What else is true of both.
        var conditions: [SQLFragment] = []
        /// A column of the farther row that is not null if there is one.
        var presence: SQLFragment?
        /// Whether the source is a join by itself.
        var isJoin = false
        var joined: SQLFragment { isJoin ? "(\(source))" : source }

        /// All of it as one condition.
        var all: [SQLFragment] { links.map { "\($0.near) = \($0.far)" } + conditions }
    }

    /// The rows that a way leads to, under the alias `far`. `use` gives the arguments of a view; `rows` stands for the target's rows where
    /// these are no longer all of them.
    func related(
        _ navigation: Navigation, from near: AliasedRow, as far: SQLFragment, _ use: FieldUse?, rows: SQLFragment? = nil
    ) throws(GraphQLError) -> Related {
        let target = try request.object(navigation.target)
        let rows = if let rows { rows } else { "\(try relation(target, use)) AS \(far)" as SQLFragment }
        switch navigation.path {
        case .fields(let pairs, let condition):
            var links: [(SQLFragment, SQLFragment)] = []
            let end = AliasedRow(object: target, alias: far)
            for pair in pairs { links.append((try column(pair.near, of: near), try column(pair.far, of: end))) }
            var conditions: [SQLFragment] = []
            if let condition {
                let sql = try template(condition) { (name: String) throws(GraphQLError) -> SQLFragment? in
                    if name.hasPrefix("source.") { return try column(String(name.dropFirst(7)), of: near) }
                    guard name.hasPrefix("dest.") else { return nil }
                    return try column(String(name.dropFirst(5)), of: end)
                }
                conditions.append("(\(sql))")
            }
            return Related(source: rows, links: links, conditions: conditions, presence: links.first?.1)
        case .junction(let name, let nearPairs, let farPairs):
            let between = AliasedRow(object: try request.object(name), alias: request.record.alias())
            var links: [(SQLFragment, SQLFragment)] = []
            for pair in nearPairs { links.append((try column(pair.near, of: near), try column(pair.far, of: between))) }
            var on: [SQLFragment] = []
            var presence: SQLFragment?
            for pair in farPairs {
                let column = try column(pair.far, of: AliasedRow(object: target, alias: far))
                on.append("\(try self.column(pair.near, of: between)) = \(column)")
                presence = presence ?? column
            }
            let junction = try relation(between.object, nil)
            return Related(
                source: "\(junction) AS \(between.alias) JOIN \(rows) ON \(on.joined(separator: " AND "))", links: links,
                presence: presence,
                isJoin: true)
        }
    }

    private func column(_ name: String, of row: AliasedRow) throws(GraphQLError) -> SQLFragment {
        column(try field(name, of: row.object), alias: row.alias)
    }

    /// That there are related rows of which a condition is true; nil when the condition says nothing, all related rows when it is empty.
    /// Of a way to one row, the condition is of the row that is told.
    func exists(
        _ navigation: Navigation, from near: AliasedRow, _ use: FieldUse? = nil,
        _ condition: (AliasedRow) throws(GraphQLError) -> SQLFragment?
    ) throws(GraphQLError) -> SQLFragment? {
        let far = AliasedRow(object: try request.object(navigation.target), alias: request.record.alias())
        guard let condition = try condition(far) else { return nil }
        let related = try related(navigation, from: near, as: far.alias, use)
        if !navigation.isList, !isUnique(navigation, far.object), !condition.isEmpty {
            return "EXISTS (SELECT 1 FROM \(first(related, far)) WHERE \(condition))"
        }
        let conditions = related.all + (condition.isEmpty ? [] : [condition])
        return "EXISTS (SELECT 1 FROM \(related.source) WHERE \(conditions.joined(separator: " AND ")))"
    }

    /// Whether a way leads to one row at most: else joining would multiply rows.
    func isUnique(_ navigation: Navigation, _ target: DataObject) -> Bool {
        guard case .fields(let pairs, _) = navigation.path else { return false }
        let fields = Set(pairs.map(\.far))
        return target.conflictKeys.contains { !$0.fields.isEmpty && fields.isSuperset(of: $0.fields) }
    }

    /// Of several rows that a way to one leads to, the one that is told everywhere: the first by its primary key.
    func firstClause(_ row: AliasedRow) -> SQLFragment {
        Self.clause(" ORDER BY ", row.object.primaryKey.map { column($0, alias: row.alias) }) + " LIMIT 1"
    }

    private func first(_ related: Related, _ far: AliasedRow) -> SQLFragment {
        "(SELECT \(far.alias).* FROM \(related.source) WHERE \(related.all.joined(separator: " AND "))\(firstClause(far))) AS \(far.alias)"
    }
}

// MARK: - Selecting related rows

extension StatementBuilder {
    /// Whether a list in the selection makes it necessary to tell the object's rows apart.
    func selectsList(_ fields: [CollectedField], _ object: DataObject) -> Bool {
        fields.contains { field in
            switch object.member(field.name) {
            case .navigation(let navigation): navigation.isList || request.model.objects[navigation.target]?.primaryKey.isEmpty == false
            case .buckets, .join, .spatialJoin: true
            default: false
            }
        }
    }

    /// One related row: its columns are those of the row itself.
    mutating func one(_ navigation: Navigation, _ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Shape {
        try requireRows(navigation, use, scope)
        let target = try request.object(navigation.target)
        let isUnique = isUnique(navigation, target)
        guard isHere(target), isUnique || engine.hasLateral else {
            return try batch(navigation, use, scope, result: .one)
        }
        let inner = self.scope(target, level: scope.level)
        let slot = select.reserveJoin(scope.level)
        let members = try self.members(use.fields, use.type, inner)
        let related = try joinOne(navigation, use, scope, inner, slot)
        guard let presence = related.presence ?? key(of: inner).first else {
            throw GraphQLError("\"\(navigation.name)\" leads to rows without a key; give \(target.name) a @pk.")
        }
        if isGrouping {
            let column = select.column("max(CASE WHEN \(presence) IS NOT NULL THEN 1 END)")
            ungrouped.insert(column)
            return .object(members, presence: column)
        }
        return .object(members, presence: select.column(presence))
    }

    /// Joins the one related row, in the place that was reserved for it.
    @discardableResult
    mutating func joinOne(
        _ navigation: Navigation, _ use: FieldUse?, _ scope: Scope, _ inner: Scope, _ slot: (level: Int, index: Int)
    ) throws(GraphQLError) -> Related {
        var related = try related(navigation, from: scope.row, as: inner.alias, use)
        related.conditions += required[inner.number] ?? []
        var on = related.all
        if isUnique(navigation, inner.object) {
            select.joins[slot.level][slot.index] = "LEFT JOIN \(related.joined) ON \(on.joined(separator: " AND "))"
        } else if engine.hasLateral {
            select.joins[slot.level][slot.index] = "LEFT JOIN LATERAL \(first(related, inner.row)) ON true"
        } else {
            // The row whose key is that of the first.
            let other = AliasedRow(object: inner.object, alias: request.record.alias())
            let others = try self.related(navigation, from: scope.row, as: other.alias, use)
            guard !inner.object.primaryKey.isEmpty else {
                throw GraphQLError(
                    "\"\(navigation.name)\" may lead to several rows, which SQLite cannot tell apart; give \(inner.object.name) a @pk or @unique."
                )
            }
            func key(_ row: AliasedRow) -> SQLFragment {
                row.object.primaryKey.map { column($0, alias: row.alias) }.joined(separator: ", ")
            }
            let firstKey: SQLFragment =
                "SELECT \(key(other)) FROM \(others.source) WHERE \(others.all.joined(separator: " AND "))\(firstClause(other))"
            on.append("(\(key(inner.row))) = (\(firstKey))")
            select.joins[slot.level][slot.index] = "LEFT JOIN \(related.joined) ON \(on.joined(separator: " AND "))"
        }
        return related
    }

    /// `inner: true` drops rows without related ones.
    private mutating func requireRows(_ navigation: Navigation, _ use: FieldUse, _ scope: Scope) throws(GraphQLError) {
        guard use.given("inner")?.asBool == true else { return }
        guard isHere(try request.object(navigation.target)) else {
            throw GraphQLError("Argument \"inner\" cannot drop rows for want of rows in another data source.")
        }
        let filter = use.given("filter")?.asObject ?? [:]
        let exists = try exists(navigation, from: scope.row, use) { far throws(GraphQLError) in
            try condition(filter, far) ?? SQLFragment()
        }
        if let exists { required[scope.number, default: []].append(exists) }
    }

    /// A list of related rows: the first of a row is part of the join; any other would multiply its rows.
    mutating func list(_ navigation: Navigation, _ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Shape {
        try requireRows(navigation, use, scope)
        let target = try request.object(navigation.target)
        guard isHere(target), canNest(scope) else { return try batch(navigation, use, scope, result: .list) }
        beginLevel()
        let level = levels.count - 1
        let inner = self.scope(target, level: level, isNumbered: navigation.nearFields.isEmpty || selectsList(use.fields, target))
        let slot = select.reserveJoin(level)
        levels[level].item = try object(use.fields, use.type, inner)
        let set = try nestedSet(use, inner)
        let related = try related(
            navigation, from: scope.row, as: inner.alias, use,
            rows: try from(inner, set.rows, use, isRestricted: set.rows.isRestricting).source)
        let conditions = related.conditions + set.remaining
        select.joins[slot.level][slot.index] = join(related, conditions, set, inner)
        levels[level].presence = (related.presence ?? key(of: inner).first).map { select.column($0) }
        orders[level] = set.order
        if levels.count > level + 1 { levels[level].key = key(of: inner).map { select.column($0) } }
        return .nested
    }

    func canNest(_ scope: Scope) -> Bool { !isGrouping && scope.level == levels.count - 1 }

    /// What a list's arguments say of related rows: of all, and of those of each parent.
    struct NestedSet {
        var rows: RowSet
        var page: Page
        var order: [SQLFragment]
        var isPaged: Bool { page.limit != nil || page.offset != nil }
        /// What is not said inside a restricted set.
        var remaining: [SQLFragment] { rows.isRestricting ? [] : rows.condition.map { [$0] } ?? [] }
    }

    func nestedSet(_ use: FieldUse, _ inner: Scope) throws(GraphQLError) -> NestedSet {
        var rows = try rowSet(use, inner)
        rows.require(required[inner.number])
        let order = try order(use.given("nested_order_by"), inner, use)
        return NestedSet(rows: rows, page: try limit(use, prefix: "nested_"), order: order.isEmpty ? rows.order : order)
    }

    private func join(_ related: Related, _ conditions: [SQLFragment], _ set: NestedSet, _ inner: Scope) -> SQLFragment {
        let alias = inner.alias
        let links = related.links.map { "\($0.near) = \($0.far)" as SQLFragment }
        guard set.isPaged else {
            let on = links + conditions
            return "LEFT JOIN \(related.joined) ON \(on.isEmpty ? "true" : on.joined(separator: " AND "))"
        }
        if engine.hasLateralLimit {
            var sql: SQLFragment = "SELECT \(alias).* FROM \(related.source)"
            if !(links + conditions).isEmpty { sql.append(" WHERE \((links + conditions).joined(separator: " AND "))") }
            sql.append(Self.clause(" ORDER BY ", set.order))
            sql.append(set.page.clause)
            return "LEFT JOIN LATERAL (\(sql)) AS \(alias) ON true"
        }
        let on = related.links.indices.map { "\(related.links[$0].near) = \(alias).\(Self.keyName($0))" as SQLFragment }
        return
            "LEFT JOIN \(paged(related.source, by: related.links.map(\.far), conditions, set, alias)) AS \(alias) ON \(on.joined(separator: " AND "))"
    }

    static func keyName(_ index: Int) -> SQLFragment { .identifier("#key\(index)") }

    /// Related rows, so many of each parent, with what links them to it in columns of their own.
    private func paged(
        _ source: SQLFragment, by links: [SQLFragment], _ conditions: [SQLFragment], _ set: NestedSet, _ alias: SQLFragment
    ) -> SQLFragment {
        let keys = links.enumerated().map { "\($1) AS \(Self.keyName($0))" as SQLFragment }
        let partition = links.joined(separator: ", ")
        let number: SQLFragment = "row_number() OVER (PARTITION BY \(partition)\(Self.clause(" ORDER BY ", set.order))) AS \"#number\""
        let columns = (["\(alias).*"] + keys + [number]).joined(separator: ", ")
        let rows: SQLFragment =
            "SELECT \(columns) FROM \(source)\(conditions.isEmpty ? "" : " WHERE \(conditions.joined(separator: " AND "))")"
        var bounds: [SQLFragment] = []
        let offset = set.page.offset ?? "0"
        if set.page.offset != nil { bounds.append("\"#number\" > \(offset)") }
        if let limit = set.page.limit { bounds.append("\"#number\" <= \(offset) + \(limit)") }
        return "(SELECT * FROM (\(rows)) AS \(alias) WHERE \(bounds.joined(separator: " AND ")))"
    }

    // MARK: Batches

    /// Related rows that another statement finds, by the keys of all rows of this one.
    mutating func batch(
        _ navigation: Navigation, _ use: FieldUse, _ scope: Scope, result: RowShape.Result
    ) throws(GraphQLError) -> Shape {
        let target = try request.object(navigation.target)
        var builder = try StatementBuilder(request, source: target.source)
        let inner = builder.scope(target, level: 0, isNumbered: selectsList(use.fields, target))
        builder.beginLevel()
        builder.levels[0].item = try builder.object(use.fields, use.type, inner)
        var set = try builder.nestedSet(use, inner)
        if result == .one { set.order = builder.key(of: inner) }
        builder.keepPlaces(&set.rows.order, inner)
        builder.keepPlaces(&set.order, inner)
        try builder.want(keysOf: navigation)
        let rows = try builder.from(inner, set.rows, use, isRestricted: set.rows.isRestricting)
        let related = try builder.related(navigation, from: scope.row, as: inner.alias, use, rows: rows.source)
        let keyed = try builder.keyed(related, navigation, from: scope)
        let plan = try builder.list(inner, set, keyed, result: result, keyCount: related.links.count)
        return try add(plan, related, navigation, scope)
    }

    /// The rows of each key.
    mutating func list(
        _ inner: Scope, _ set: NestedSet, _ keyed: Keyed, result: RowShape.Result, keyCount: Int
    ) throws(GraphQLError) -> StatementPlan {
        var conditions = set.remaining
        var (source, number) = (keyed.source, keyed.number)
        if set.isPaged {
            source = "\(paged(source, by: [number], conditions, set, inner.alias)) AS \(inner.alias)"
            number = "\(inner.alias).\(Self.keyName(0))"
            conditions = []
        }
        let group = select.column(number)
        if levels.count > 1 { levels[0].key = key(of: inner).map { select.column($0) } }
        orders[0] = [number] + set.order
        var sql: SQLFragment = "\(selectClause) FROM \(source)\(select.joined)"
        if !conditions.isEmpty { sql.append(" WHERE \(conditions.joined(separator: " AND "))") }
        sql.append(Self.clause(" ORDER BY ", rowOrder()))
        return try plan(sql, result: result, group: group, keyCount: keyCount)
    }

    /// Rows that belong to keys, and for each the number of its key.
    struct Keyed {
        var source: SQLFragment
        var number: SQLFragment
    }

    /// Joins related rows with the keys that a batch is asked for. So the database decides which key a row belongs to: texts of equal values
    /// may differ (1 and 1.0, upper and lower case of citext, blanks behind a char(n)).
    func keyed(_ related: Related, _ navigation: Navigation, from scope: Scope) throws(GraphQLError) -> Keyed {
        guard !related.links.isEmpty, related.conditions.isEmpty else {
            throw GraphQLError(
                "\"\(navigation.name)\" is joined by SQL, and cannot stand beside another list; ask for it in a field of its own.")
        }
        let near = SourceSide(name: scope.object.source, engine: try request.engine(of: scope.object.source))
        let far = try farEnd(of: navigation)
        var fields: [DataField] = []
        for (nearName, farName) in zip(navigation.nearFields, far.names) {
            let field = try self.field(farName, of: far.object)
            try requireKeys(try self.field(nearName, of: scope.object), of: near, field, navigation.name)
            fields.append(field)
        }
        let keys: SQLFragment
        let number: SQLFragment
        var values: [SQLFragment] = []
        switch engine {
        case .postgreSQL:
            // A list takes the type of the column that it is compared with, which no GraphQL type tells.
            let sample = request.record.alias()
            let relation = try relation(far.object, nil)
            let lists = fields.enumerated().map { index, field in
                """
                unnest(coalesce(\(.parameter(SQLParameter(.keys(column: index)))), \
                ARRAY(SELECT \(column(field, alias: sample)) FROM \(relation) AS \(sample) LIMIT 0)))
                """ as SQLFragment
            }
            values = fields.indices.map { "\"k\".\(.identifier("v\($0)"))" }
            let names = (fields.indices.map { .identifier("v\($0)") } + ["\"n\""]).joined(separator: ", ")
            keys = "ROWS FROM (\(lists.joined(separator: ", "))) WITH ORDINALITY AS \"k\"(\(names))"
            number = "(\"k\".\"n\" - 1)"
        case .sqlite, .duckDB:
            keys = "json_each(\(.parameter(SQLParameter(.keyRows(fields.map(\.type.keyEncoding)))))) AS \"k\""
            number = "\"k\".\"key\""
            values = fields.indices.map {
                fields.count == 1 ? "\"k\".\"value\"" : "json_extract(\"k\".\"value\", \(.value(.string("$[\($0)]"))))"
            }
            if engine == .duckDB {
                values = zip(fields, values).map { field, value in
                    guard case .scalar(let scalar) = field.type else { return value }
                    return engine.cast("json_extract_string(\(value), '$')", to: scalar)
                }
            }
        }
        let on = zip(related.links, values).map { "\($0.far) = \($1)" as SQLFragment }
        return Keyed(source: "\(keys) JOIN \(related.joined) ON \(on.joined(separator: " AND "))", number: number)
    }

    /// Rows of keys as arguments of a function: the value of each column.
    func arguments(_ fields: [DataField], keyCount: Int) -> (source: SQLFragment, number: SQLFragment, values: [SQLFragment]) {
        func cast(_ value: SQLFragment, _ field: DataField) -> SQLFragment {
            if case .scalar(let scalar) = field.type { engine.cast(value, to: scalar) } else { value }
        }
        guard engine == .postgreSQL else {
            let encodings = fields.isEmpty ? [KeyEncoding.number] : fields.map(\.type.keyEncoding)
            let values = fields.enumerated().map { index, field in
                let value: SQLFragment =
                    keyCount == 1 ? "\"k\".\"value\"" : "json_extract(\"k\".\"value\", \(.value(.string("$[\(index)]"))))"
                return cast(engine == .duckDB ? "json_extract_string(\(value), '$')" : value, field)
            }
            return ("json_each(\(.parameter(SQLParameter(.keyRows(encodings))))) AS \"k\"", "\"k\".\"key\"", values)
        }
        let lists = (0..<keyCount).map { "unnest(\(.parameter(SQLParameter(.keys(column: $0), type: nil)))::text[])" as SQLFragment }
        let names = ((0..<keyCount).map { .identifier("v\($0)") } + ["\"n\""]).joined(separator: ", ")
        return (
            "ROWS FROM (\(lists.joined(separator: ", "))) WITH ORDINALITY AS \"k\"(\(names))", "(\"k\".\"n\" - 1)",
            fields.enumerated().map { cast("\"k\".\(.identifier("v\($0)"))", $1) }
        )
    }

    /// The object whose fields a way's keys are compared with.
    func farEnd(of navigation: Navigation) throws(GraphQLError) -> (object: DataObject, names: [String]) {
        switch navigation.path {
        case .fields(let pairs, _): (try request.object(navigation.target), pairs.map(\.far))
        case .junction(let name, let near, _): (try request.object(name), near.map(\.far))
        }
    }

    mutating func add(_ plan: StatementPlan, _ related: Related, _ navigation: Navigation, _ scope: Scope) throws(GraphQLError) -> Shape {
        batches.append(plan)
        var key: [Int] = []
        for (name, link) in zip(navigation.nearFields, related.links) {
            // The blanks behind a char(n) are no part of its value, as a comparison with text sees it.
            let type = try field(name, of: scope.object).type
            key.append(select.column(engine == .postgreSQL && type == .scalar(.string) ? "(\(link.near))::text" : link.near))
        }
        return .batch(batches.count - 1, key: key)
    }

    // MARK: Ad-hoc joins

    /// `_join` and `_spatial`: objects of joins that the operation makes.
    mutating func adHoc(_ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Shape {
        var members: [Shape.Member] = []
        for field in use.fields {
            guard let meaning = request.planner.api.meaning(of: field.name, on: use.type.name) else {
                members.append(Shape.Member(field.responseKey, .text(JSONText.quoted(use.type.name))))
                continue
            }
            let joined = try request.use(of: field, on: use.type)
            let shape: Shape
            switch meaning {
            case .list(let name): shape = try list(try adHoc(name, use, joined, scope), joined, scope)
            case .aggregation(let name): shape = try aggregation(try adHoc(name, use, joined, scope), joined, scope)
            case .buckets(let name): shape = try buckets(try adHoc(name, use, joined, scope), joined, scope)
            default: throw GraphQLError("\"\(field.name)\" is no join.")
            }
            members.append(Shape.Member(field.responseKey, shape))
        }
        return .object(members, presence: nil)
    }

    private func adHoc(_ name: String, _ use: FieldUse, _ joined: FieldUse, _ scope: Scope) throws(GraphQLError) -> Navigation {
        let target = try request.object(name)
        if let own = use.arguments["fields"]?.asArray {
            let near = own.compactMap(\.asString)
            let far = joined.arguments["fields"]?.asArray?.compactMap(\.asString) ?? []
            guard near.count == far.count, !near.isEmpty else { throw GraphQLError("A join needs as many fields on both sides.") }
            for (names, object) in [(near, scope.object), (far, target)] {
                for name in names { try request.allow(try field(name, of: object).name, of: object) }
            }
            return Navigation(joining: name, by: .fields(zip(near, far).map { Navigation.Pair(near: $0, far: $1) }, condition: nil))
        }
        // Names of a model's columns, not of the request: both are looked up before they become part of the condition.
        let near = try field(use.arguments["field"]?.asString ?? "", of: scope.object).name
        let far = try field(joined.arguments["field"]?.asString ?? "", of: target).name
        try request.allow(near, of: scope.object)
        try request.allow(far, of: target)
        let ends = "[source.\(near)], [dest.\(far)]"
        let condition =
            switch use.arguments["type"]?.asString {
            case "WITHIN": "ST_Within(\(ends))"
            case "CONTAINS": "ST_Contains(\(ends))"
            case "DISJOIN": "ST_Disjoint(\(ends))"
            case "DWITHIN": "ST_DWithin(\(ends), \(use.given("buffer")?.asInteger ?? 0))"
            default: "ST_Intersects(\(ends))"
            }
        return Navigation(joining: name, by: .fields([], condition: condition))
    }
}
