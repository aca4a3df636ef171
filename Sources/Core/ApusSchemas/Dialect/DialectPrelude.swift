/// What a data source's schema is written with: directives and the types that they take. The dialect is Hugr's.
enum DialectPrelude {
    static let text =
        ScalarType.allCases.filter { !$0.isSpecified }.map { "scalar \($0.name)\n" }.joined() + #"""
            scalar any

            type Query { _stub: String }
            type Mutation { _stub: String }
            type Subscription { _stub: String }
            type Function { _stub: String }
            type MutationFunction { _stub: String }

            type OperationResult { success: Boolean affected_rows: BigInt last_id: BigInt message: String }

            enum GeometryType { POINT LINESTRING POLYGON MULTIPOINT MULTILINESTRING MULTIPOLYGON GEOMETRYCOLLECTION }
            enum UniqueRuleType { EQUALS INTERSECTS }
            enum VectorDistanceType { L2 Cosine Inner }
            enum FilterOperator {
              eq ne gt gte lt lte in between like ilike regex is_null contains intersects includes excludes upper lower upper_inclusive
              lower_inclusive upper_inf lower_inf within has has_all
            }

            directive @table(
              name: String!, is_m2m: Boolean = false, soft_delete: Boolean = false, soft_delete_cond: String, soft_delete_set: String
            ) on OBJECT
            directive @view(name: String!, sql: String) on OBJECT
            directive @args(name: String!, required: Boolean = false) on OBJECT
            directive @named(name: String) on INPUT_FIELD_DEFINITION
            directive @module(name: String!) on OBJECT | FIELD_DEFINITION
            """
            match: SQL that is true of the row, where it is not equal values that find it; [$field] is an argument
            """
            directive @unique(fields: [String]!, query_suffix: String, skip_query: Boolean, match: String) repeatable on OBJECT
            directive @references(
              name: String, references_name: String!, source_fields: [String!]!, references_fields: [String!]!, query: String,
              references_query: String, description: String, references_description: String, is_m2m: Boolean, m2m_name: String
            ) repeatable on OBJECT
            directive @dependency(name: String!) repeatable on OBJECT
            directive @cache(ttl: Interval, key: String, tags: [String!]) on FIELD | OBJECT | FIELD_DEFINITION
            directive @at(version: Int, timestamp: String) on OBJECT | FIELD
            directive @cube on OBJECT
            directive @hypertable on OBJECT
            directive @embeddings(model: String!, vector: String!, distance: VectorDistanceType!) on OBJECT
            directive @feature(name: String!, description: String) on OBJECT
            directive @wfs(name: String, description: String, geometry: String) on OBJECT
            directive @wfs_field(name: String) on FIELD_DEFINITION
            directive @wfs_exclude on FIELD_DEFINITION

            directive @pk on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
            directive @field_references(
              name: String, references_name: String!, field: String, query: String, references_query: String, description: String,
              references_description: String
            ) repeatable on FIELD_DEFINITION
            directive @default(value: any, sequence: String, insert_exp: String, update_exp: String) on FIELD_DEFINITION | ARGUMENT_DEFINITION
            directive @sql(exp: String!) on FIELD_DEFINITION
            directive @field_source(field: String!) on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
            directive @geometry_info(type: GeometryType, srid: Int) on FIELD_DEFINITION | INPUT_FIELD_DEFINITION | ARGUMENT_DEFINITION
            directive @dim(len: Int!) on FIELD_DEFINITION | ARGUMENT_DEFINITION
            directive @filter_required on FIELD_DEFINITION
            directive @exclude_filter(operations: [FilterOperator!]) on FIELD_DEFINITION
            directive @unique_rule(rule: UniqueRuleType) on FIELD_DEFINITION
            directive @exclude_mcp on FIELD_DEFINITION | OBJECT
            directive @measurement on FIELD_DEFINITION
            directive @timescale_key on FIELD_DEFINITION
            directive @join(references_name: String!, source_fields: [String!], references_fields: [String!], sql: String) on FIELD_DEFINITION
            directive @function_call(references_name: String!, args: JSON, module: String) on FIELD_DEFINITION
            directive @table_function_call_join(
              references_name: String!, args: JSON, source_fields: [String!], references_fields: [String!], sql: String, module: String
            ) on FIELD_DEFINITION

            directive @function(
              name: String!, sql: String, skip_null_arg: Boolean = false, is_table: Boolean = false, json_cast: Boolean = false
            ) on FIELD_DEFINITION
            directive @arg_default(value: String!) on ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION

            """#
}
