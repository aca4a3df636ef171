internal import ApusCells
internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Rows by the cells that their geometries touch.
///
/// No database here knows the grid. One statement tells the different geometries, in degrees; their cells are found by this program, and the
/// next statement is given pairs of geometries and cells, and tells what the rows come to in each cell. Both ask for the same rows: filters,
/// rules and limits are in both.
extension StatementBuilder {
    /// A field of `_h3_data_query`.
    static func cells(
        _ object: DataObject, _ meaning: RootField, _ use: FieldUse, in grid: CellGrid, _ request: RequestContext
    ) throws(GraphQLError) -> StatementPlan {
        guard case .database(.postgreSQL)? = request.model.sources[object.source]?.kind else {
            throw GraphQLError("Data source \"\(object.source)\" has no geometry that cells could be made of; PostGIS alone has.")
        }
        let name = use.arguments["field"]?.asString ?? ""
        guard let field = object.column(name), field.type == .scalar(.geometry) else {
            throw GraphQLError("\"\(name)\" is no geometry of \"\(object.name)\".")
        }
        try request.allow(field.name, of: object)
        let touched = CellGeometry(field: field, use: use, grid: grid)
        let (batch, required) = try perCell(object, meaning, use, touched, request)
        var builder = try StatementBuilder(request, source: object.source)
        let scope = builder.scope(object, level: 0)
        builder.beginLevel()
        builder.levels[0].item = .object([], presence: nil)
        var set = try builder.rowSet(use, scope)
        set.require(required)
        touched.settle(&set, builder, scope)
        _ = builder.select.column(CellGeometry.name(of: "\"g\""))
        _ = builder.select.column("encode(ST_AsBinary(\(try touched.degrees("\"g\""))), 'hex')")
        let from = try builder.from(scope, set, use, isRestricted: set.isRestricting)
        let rows: SQLFragment = "SELECT DISTINCT \(touched.column(of: scope, builder)) AS \"g\" FROM \(from.source)\(from.whereClause)"
        builder.batches = [batch]
        return try builder.plan(
            "\(builder.selectClause) FROM (\(rows)) AS \"d\" WHERE \"g\" IS NOT NULL", result: .cells(resolution: grid.resolution))
    }

    /// What rows come to in each cell, and what is required of rows because of what is selected below them.
    private static func perCell(
        _ object: DataObject, _ meaning: RootField, _ use: FieldUse, _ touched: CellGeometry, _ request: RequestContext
    ) throws(GraphQLError) -> (StatementPlan, required: [SQLFragment]) {
        var builder = try StatementBuilder(request, source: object.source)
        var scope = builder.scope(object, level: 0, isNumbered: builder.selectsList(use.fields, object))
        builder.beginLevel()
        if use.given("divide_values")?.asBool == true { builder.divisor = "\"k\".\"parts\"" }
        let isList = if case .list = meaning { true } else { false }
        if isList { builder.levels[0].item = try builder.object(use.fields, use.type, scope) }
        var set = try builder.nestedSet(use, scope)
        touched.settle(&set.rows, builder, scope)
        if isList {
            builder.keepPlaces(&set.rows.order, scope)
            builder.keepPlaces(&set.order, scope)
        } else if !set.order.isEmpty {
            scope.order = .by(set.order)
        }
        let rows = try builder.from(scope, set.rows, use, isRestricted: set.rows.isRestricting)
        let keyed = Keyed(
            source: """
                ROWS FROM (unnest(\(list(0))::text[]), unnest(\(list(1))::bigint[]), unnest(\(list(2))::bigint[])) \
                AS "k"("geometry", "n", "parts") JOIN \(rows.source) \
                ON \(CellGeometry.name(of: touched.column(of: scope, builder))) = "k"."geometry"
                """, number: "\"k\".\"n\"")
        let plan: StatementPlan
        switch meaning {
        case .list: plan = try builder.list(scope, set, keyed, result: .list, keyCount: 3)
        case .aggregation:
            guard !set.isPaged else { throw GraphQLError("Rows in cells are aggregated as they are, without nested_limit.") }
            plan = try builder.aggregation(use, scope, set, keyed, keyCount: 3)
        default: plan = try builder.buckets(use, scope, keyed, keyCount: 3)
        }
        return (plan, builder.required[scope.number] ?? [])
    }

    private static func list(_ column: Int) -> SQLFragment { .parameter(SQLParameter(.keys(column: column))) }
}

/// The geometry of rows by which they are in cells.
struct CellGeometry {
    var field: DataField
    var use: FieldUse
    var grid: CellGrid

    func column(of scope: StatementBuilder.Scope, _ builder: StatementBuilder) -> SQLFragment {
        "(\(builder.column(field, of: scope)))::geometry"
    }

    /// What a geometry is found again by: 96 bits, which nobody finds twice by accident or on purpose.
    static func name(of geometry: SQLFragment) -> SQLFragment {
        "encode(substr(sha256(ST_AsEWKB(\(geometry))), 1, 12), 'base64')"
    }

    /// Rows of equal rank under a limit are the same ones in both statements.
    func settle(_ set: inout RowSet, _ builder: StatementBuilder, _ scope: StatementBuilder.Scope) {
        guard set.isRestricting else { return }
        let key = scope.object.primaryKey.map { builder.column($0, of: scope) }
        set.order += key.isEmpty ? [Self.name(of: column(of: scope, builder))] : key.filter { !set.order.contains($0) }
    }

    /// In longitude and latitude, as the field's arguments say.
    func degrees(_ geometry: SQLFragment) throws(GraphQLError) -> SQLFragment {
        var value: SQLFragment
        if let from = use.given("transform_from") {
            value = "ST_Transform(ST_SetSRID(\(geometry), \(.value(from, as: .int))), 4326)"
        } else if field.srid == 4326 {
            value = geometry
        } else {
            // Without a system they are taken to be degrees already, and looked at.
            value = "CASE WHEN ST_SRID(\(geometry)) IN (0, 4326) THEN \(geometry) ELSE ST_Transform(\(geometry), 4326) END"
        }
        value = "ST_Force2D(ST_CurveToLine(\(value)))"
        if let buffer = use.given("buffer") {
            value = "ST_Buffer((ST_SetSRID(\(value), 4326))::geography, \(.value(buffer, as: .float)))::geometry"
        }
        if use.arguments["simplify"]?.asBool == true {
            value = "ST_Simplify(\(value), \(.value(.double(grid.edge / 10), as: .float)), true)"
        }
        return value
    }
}
