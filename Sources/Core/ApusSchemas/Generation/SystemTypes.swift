internal import ApusGraphQL

/// The types of the generated API that no data source has a part in.
enum SystemTypes {
    /// Their names, and those that the language has of itself. What holds the fields of all sources is claimed where it is written.
    static let names: [String] = {
        let document = try? GraphQLDocument(parsing: text, limits: .schema)  // a constant, which every schema is built from
        let own = document?.definitions.filter { document?.kind(of: $0).isTypeDefinition == true }.compactMap { document?.name(of: $0) }
        return (own ?? []) + ["String", "Int", "Float", "Boolean", "ID"]
    }()

    static let text =
        scalars + filters + aggregations + #"""
            input OrderByField { field: String! direction: OrderDirection = ASC }
            enum OrderDirection { ASC DESC }
            type OperationResult { success: Boolean affected_rows: BigInt last_id: BigInt message: String }

            type _Module { name: String! modules: [_Module!]! dataObjects: [_DataObject!]! }
            enum _DataObjectType { TABLE VIEW }
            type _DataObject {
              name: String! type: _DataObjectType! description: String module: String! dataSource: String!
              fields: [_Field!]! relations: [_Relation!]!
            }
            type _Field { name: String! type: String! isPk: Boolean! description: String }
            enum _RelationKind { FK }
            type _Relation { name: String! kind: _RelationKind! dataObject: _DataObject! }

            enum TimeBucket { minute hour day week month quarter year }
            enum TimeExtract { epoch minute hour day doy dow iso_dow week month year iso_year quarter }
            enum GeometryTransform {
              Transform Centroid Buffer Simplify SimplifyTopology StartPoint EndPoint Reverse FlipCoordinates ConvexHull Envelope
            }
            enum GeometryMeasurementTypes { Area AreaSpheroid Length LengthSpheroid Perimeter PerimeterSpheroid }
            enum GeometrySpatialQueryType { INTERSECTS WITHIN CONTAINS DISJOIN DWITHIN }
            enum VectorDistanceType { L2 Cosine Inner }
            input VectorSearchInput { name: String! vector: Vector! distance: VectorDistanceType! limit: Int! }
            input SemanticSearchInput { query: String! limit: Int! }

            directive @cache(ttl: Interval, key: String, tags: [String!]) on FIELD
            directive @no_cache on FIELD
            directive @invalidate_cache on FIELD
            """
            How long it takes, in `extensions`
            """
            directive @stats on FIELD | QUERY
            directive @with_deleted on FIELD
            directive @no_pushdown on FIELD
            directive @unnest on FIELD
            """
            An update or deletion whose filter says nothing is meant for every row
            """
            directive @all_rows on FIELD
            directive @at(version: Int, timestamp: String) on FIELD

            """#

    private static let scalars = ScalarType.allCases.filter { !$0.isSpecified }.map { "scalar \($0.name)\n" }.joined()

    private static let filters = ScalarType.allCases.filter { !$0.operators.isEmpty }.map { scalar in
        let members = scalar.operators.map { "\($0.operator.rawValue): \($0.type)" }.joined(separator: " ")
        let list = "[\(scalar.name)!]"
        return "input \(scalar.name)Filter { \(members) }\n"
            + (scalar.hasListFilter
                ? "input \(scalar.name)ListFilter { eq: \(list) contains: \(list) intersects: \(list) is_null: Boolean }\n" : "")
    }.joined()

    private static let aggregations = ScalarType.allCases.filter { !$0.aggregates.isEmpty }.map { scalar in
        let fields = scalar.aggregates.map { "\($0.function.rawValue)\($0.arguments): \($0.type)" }.joined(separator: " ")
        let again = scalar.aggregates.compactMap { field in
            field.again.map { "\(field.function.rawValue)\(field.arguments): \($0)" }
        }.joined(separator: " ")
        return "type \(scalar.name)Aggregation { \(fields) }\ntype \(scalar.name)SubAggregation { \(again) }\n"
    }.joined()
}
