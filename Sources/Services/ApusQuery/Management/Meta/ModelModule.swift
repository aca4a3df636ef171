internal import ApusDatabase
internal import ApusSchemas

/// The module `core.catalog`: the model that is served, as tables. Names are Hugr's; what its engine keeps beside (compiled texts, vectors of
/// descriptions) is not there.
enum ModelModule {
    static let input = SchemaCompiler.Input.own("core.catalog", .sqlite, isReadOnly: true, text)

    private static let text = #"""
        type modules @view(name: "model_modules") {
          name: String! @pk
          parent: String
        }
        type module_data_sources @view(name: "model_module_data_sources") {
          module: String! @pk @field_references(references_name: "modules", field: "name", query: "module_info", references_query: "data_sources")
          data_source: String! @pk
        }
        type data_objects @view(name: "model_data_objects") {
          name: String! @pk
          "In its source's schema."
          original_name: String!
          data_source: String!
          module: String! @field_references(references_name: "modules", field: "name", query: "module_info", references_query: "data_objects")
          "table, view or parameterized_view"
          kind: String!
          description: String
          read_only: Boolean
        }
        "Of data objects: columns, and results of functions."
        type fields @view(name: "model_fields") {
          type_name: String! @pk @field_references(
            references_name: "data_objects", field: "name", query: "data_object", references_query: "fields")
          name: String! @pk
          field_type: String!
          data_source: String!
          "The extension that adds it."
          dependency_data_source: String
          is_pk: Boolean
          is_nullable: Boolean
          ordinal: Int
          deprecation_reason: String
          description: String
        }
        type relations @view(name: "model_relations") {
          source: String! @pk @field_references(
            references_name: "data_objects", field: "name", query: "source_object", references_query: "relations")
          name: String! @pk
          "one, many, or many_to_many"
          kind: String!
          destination: String!
          m2m_object: String
          source_keys: [String!]
          destination_keys: [String!]
        }
        type functions @view(name: "model_functions") {
          module: String! @pk
          name: String! @pk
          "query or mutation"
          kind: String! @pk
          data_source: String!
          returns: String!
          is_table: Boolean
          "Names and types."
          args: JSON
          description: String
        }
        "Data sources that this node serves now."
        type active_sources @view(name: "model_active_sources") {
          name: String! @pk
          "What it is: the SQL that it speaks, http, or extension."
          type: String!
          prefix: String
          as_module: Boolean
          read_only: Boolean
          "Why it cannot be asked now."
          suspended: String
        }

        """#
}
