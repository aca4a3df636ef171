internal import ApusGraphQL
internal import ApusSchemas

extension HiddenParts {
    /// What rules hide: fields; objects, with every way to them; and what has nothing else in it.
    init(of api: DataAPI, by permissions: RolePermissions) {
        guard permissions.hidesAnything else {
            self.init()
            return
        }
        var types: Set<String> = []
        for object in api.model.objects.keys where permissions.rule("data-object:query", object)?.isHidden == true {
            for suffix in [
                "", "_filter", "_list_filter", "_mut_input_data", "_mut_data", "_on_conflict", "_constraint", "_update_column",
            ] {
                types.insert(object + suffix)
            }
            types.insert("_\(object)_edge")
            for suffix in ["", "_bucket", "_sub_aggregation", "_sub_aggregation_sub_aggregation"] {
                types.insert("_\(object)_aggregation\(suffix)")
            }
        }
        self.init(types: types) { field, type in permissions.rule(type, field)?.isHidden == true }
        // A type without fields is no type. Modules lie in each other, so what is empty may make more empty.
        var isDone = false
        while !isDone {
            let empty = api.schema.types.filter { type in
                !self.types.contains(type.name) && type.kind == .object && !type.name.hasPrefix("__")
                    && type.fields.allSatisfy { hides($0, of: type, in: api.schema) }
            }
            for type in empty where !["Query", "Mutation"].contains(type.name) { self.types.insert(type.name) }
            isDone = empty.allSatisfy { ["Query", "Mutation"].contains($0.name) }
        }
    }
}
