/// The roots: a tree of modules with the fields of their objects and functions; and the types of ad-hoc joins.
extension APIGenerator {
    mutating func addModules() {
        let objects = Dictionary(grouping: model.orderedObjects, by: \.module)
        let functions = Dictionary(grouping: model.functionIDs.compactMap { model.functions[$0] }, by: \.module)
        for kind in RootKind.allCases {
            var fields: [String: [Field]] = [:]
            if kind == .query || kind == .mutation {
                for (module, members) in objects {
                    fields[module] = members.flatMap { object in
                        claimed(kind == .query ? queries(of: object) : mutations(of: object), by: object)
                    }
                }
            } else {
                for (module, members) in functions {
                    fields[module] = members.filter { $0.use == kind.use }.map { function in
                        var field = call(function)
                        field.claim = NameClaims.Claim(source: function.source, part: function.name)
                        return field
                    }
                }
            }
            addTree(kind, fields.filter { !$0.value.isEmpty })
        }
    }

    private static let repetition = Field(
        name: "query",
        arguments: """
            ("Max number of executions. 0 = unlimited (until client cancels)." count: Int = 0, \
            "Re-execution interval. If unset, query executes once and streams results." interval: Interval)
            """,
        type: "Query", description: "Stream results of a regular query. If interval is set, re-executes periodically.", meaning: .module)

    private enum RootKind: String, CaseIterable {
        // Functions first: the roots of operations show whether there are any.
        case function = "Function"
        case mutationFunction = "MutationFunction"
        case query = "Query"
        case mutation = "Mutation"
        case subscription = "Subscription"

        /// Of functions that are its fields.
        var use: DataFunction.Use? {
            switch self {
            case .function: .query
            case .mutationFunction: .mutation
            case .subscription: .subscription
            case .query, .mutation: nil
            }
        }

        var suffix: String {
            switch self {
            case .query: "query"
            case .mutation: "mutation"
            case .function: "function"
            case .mutationFunction: "mut_function"
            case .subscription: "subscription"
            }
        }

        var noun: String { self == .mutationFunction ? "mutation function" : suffix }

        /// The type of a module's fields of this kind.
        func type(_ module: String) -> String {
            module.isEmpty ? rawValue : "_module_\(module.split(separator: ".").joined(separator: "_"))_\(suffix)"
        }
    }

    private func claimed(_ fields: [Field], by object: DataObject) -> [Field] {
        fields.map { field in
            var field = field
            field.claim = NameClaims.Claim(source: object.source, part: object.name)
            return field
        }
    }

    /// Each module with fields has a type, and so has every module above it. A module belongs to the first source that has something in it.
    private mutating func addTree(_ kind: RootKind, _ fields: [String: [Field]]) {
        var modules: Set<String> = [""]
        var owners: [String: String] = [:]
        for (module, fields) in fields {
            let first = fields.compactMap(\.claim?.source).min { model.ranks[$0, default: 0] < model.ranks[$1, default: 0] }
            var path = module[...]
            while !path.isEmpty {
                modules.insert(String(path))
                let owner = [owners[String(path)], first].compactMap { $0 }.min {
                    model.ranks[$0, default: 0] < model.ranks[$1, default: 0]
                }
                owners[String(path)] = owner
                path = path.lastIndex(of: ".").map { path[..<$0] } ?? ""
            }
        }
        for module in modules.sorted() {
            subject = NameClaims.Claim(source: owners[module], part: "module \(module)")
            var all = fields[module] ?? []
            for below in modules.sorted() where !below.isEmpty && Self.parent(of: below) == module {
                let name = below.split(separator: ".").last.map(String.init) ?? below
                let isDescribed = !module.isEmpty || kind == .function || kind == .mutationFunction
                all.append(
                    Field(
                        name: name, type: kind.type(below),
                        description: isDescribed ? "The root \(kind.noun) object of the module \(below)" : nil, meaning: .module,
                        claim: NameClaims.Claim(source: owners[below], part: "module \(below)")))
            }
            if module.isEmpty { all += rootFields(kind) }
            type(kind.type(module), nil, distinct(all))
        }
        subject = NameClaims.Claim(source: nil, part: "")
    }

    private static func parent(of module: String) -> String { module.lastIndex(of: ".").map { String(module[..<$0]) } ?? "" }

    private func rootFields(_ kind: RootKind) -> [Field] {
        func functions(_ type: RootKind) -> [Field] {
            model.functions.keys.contains { $0.use == type.use }
                ? [Field(name: "function", type: type.rawValue, description: "Functions", meaning: .module)] : []
        }
        switch kind {
        case .query:
            let transform = Field(
                name: "jq", arguments: "(query: String!, include_origin: Boolean = false)", type: "Query",
                description:
                    "Performs jq query on result set\nResults will be placed in 'extension' field by field or alias name",
                meaning: .transform)
            return functions(.function) + [transform] + cellFields + Self.descriptions
        case .mutation: return functions(.mutationFunction)
        case .subscription: return [Self.repetition]
        case .function, .mutationFunction: return []
        }
    }

    private static let descriptions = [
        Field(
            name: "_catalog", type: "_Module",
            description:
                "Logical-model introspection: the root module tree (name \"\").\nResolved on the metadata path, like __schema/__type.",
            meaning: .description(.root)),
        Field(
            name: "_module", arguments: "(name: String!)", type: "_Module",
            description: "Logical-model introspection: direct module lookup; \"\" = the root module.", meaning: .description(.module)),
        Field(
            name: "_dataObject", arguments: "(name: String!)", type: "_DataObject",
            description: "Logical-model introspection: data object by GraphQL type name;\nnull for non-data-object types.",
            meaning: .description(.object)),
    ]

    // MARK: Fields of objects

    private func queries(of object: DataObject) -> [Field] {
        let name = object.queryName
        let list = ListArguments(of: object)
        let aggregation = "_\(object.name)_aggregation"
        func one(_ suffix: String, _ key: [String]) -> Field {
            let arguments = key.map { field in "\(field): \(object.column(field)?.type.text ?? "String")!" }
            return Field(
                name: "\(name)_\(suffix)", arguments: list.text(.one, before: arguments), type: object.name,
                meaning: .one(object.name, key: key))
        }
        var fields = [
            Field(
                name: name, arguments: list.text(.root), type: "[\(object.name)]", description: object.description,
                meaning: .list(object.name))
        ]
        if !object.primaryKey.isEmpty, !object.isJunction { fields.append(one("by_pk", object.primaryKey.map(\.name))) }
        for key in object.uniqueKeys { if let suffix = key.querySuffix { fields.append(one(suffix, key.fields)) } }
        let description = "The aggregation for \(name)"
        fields.append(
            Field(
                name: "\(name)_aggregation", arguments: list.text(.root), type: aggregation, description: description,
                meaning: .aggregation(object.name)))
        fields.append(
            Field(
                name: "\(name)_bucket_aggregation", arguments: list.text(.root), type: "[\(aggregation)_bucket]", description: description,
                meaning: .buckets(object.name)))
        if object.hasEdges {
            fields.append(
                Field(
                    name: "\(name)_edges", arguments: list.text(.edges), type: "[_\(object.name)_edge]",
                    description: "\(name), page by page: rows with their cursors", meaning: .edges(object.name)))
        }
        return fields
    }

    /// Where an object is called as a field of another that Hugr does not have (`users_edges` beside `users`), its own field goes before.
    private func distinct(_ fields: [Field]) -> [Field] {
        let names = Dictionary(grouping: fields, by: \.name)
        return fields.filter { field in
            switch field.meaning {
            case .insertMany?, .edges?: names[field.name]?.count == 1
            default: true
            }
        }
    }

    private func mutations(of object: DataObject) -> [Field] {
        guard object.isMutable else { return [] }
        let name = object.queryName
        let hasEmbeddings = object.embeddings != nil
        func data(_ suffix: String) -> String { "data: \(object.name)\(suffix)\(hasEmbeddings ? "" : "!")" }
        func summary(_ what: String) -> String { hasEmbeddings ? ", \"\(what) summary embedding\" summary: String" : "" }
        let filter = "filter: \(object.name)_filter"
        let tellsRow = !object.primaryKey.isEmpty && !object.isJunction
        let conflict = isUpsertable(object) ? ", \"Instead of an error\" on_conflict: \(object.name)_on_conflict" : ""
        var many: [Field] = []
        if model.sources[object.source]?.actsItself != true {
            many.append(
                Field(
                    name: "insert_many_\(name)", arguments: "(data: [\(object.name)_mut_input_data!]!\(conflict))",
                    type: tellsRow ? "[\(object.name)]" : "OperationResult",
                    description: "All of them or none, in one statement", meaning: .insertMany(object.name)))
        }
        return [
            Field(
                name: "insert_\(name)", arguments: "(\(data("_mut_input_data"))\(summary("INSERT"))\(conflict))",
                type: tellsRow ? object.name : "OperationResult", meaning: .insert(object.name)),
            Field(
                name: "update_\(name)", arguments: "(\(filter), \(data("_mut_data"))\(summary("UPDATE")))", type: "OperationResult",
                meaning: .update(object.name)),
            Field(name: "delete_\(name)", arguments: "(\(filter))", type: "OperationResult", meaning: .delete(object.name)),
        ] + many
    }

    private func call(_ function: DataFunction) -> Field {
        Field(
            name: function.name, arguments: Self.arguments(function.parameters),
            type: function.result.text + (function.isNonNull ? "!" : ""),
            description: function.description, deprecation: function.deprecationReason, meaning: .function(function.id))
    }

    // MARK: Ad-hoc joins

    mutating func addJoins() {
        let joined = model.orderedObjects.filter { !$0.isJunction }
        addJoins("_join", joined, .adHoc, .adHocAggregated)
        addJoins("_spatial", joined.filter(\.hasGeometry), .spatial, .spatialAggregated)
    }

    private mutating func addJoins(
        _ name: String, _ objects: [DataObject], _ use: ListArguments.Use, _ aggregatedUse: ListArguments.Use
    ) {
        type(name, nil, objects.flatMap { members(of: $0, use) })
        type(
            "\(name)_aggregation", nil,
            objects.map { object in
                Field(
                    name: object.name, arguments: ListArguments(of: object).text(aggregatedUse), type: "_\(object.name)_aggregation",
                    meaning: .aggregation(object.name))
            })
    }

    /// Rows of an object and what they come to, as fields of what all objects are in.
    private func members(of object: DataObject, _ use: ListArguments.Use) -> [Field] {
        let arguments = ListArguments(of: object).text(use)
        let aggregation = "_\(object.name)_aggregation"
        return claimed(
            [
                Field(
                    name: object.name, arguments: arguments, type: "[\(object.name)]", description: object.description,
                    meaning: .list(object.name)),
                Field(name: "\(object.name)_aggregation", arguments: arguments, type: aggregation, meaning: .aggregation(object.name)),
                Field(
                    name: "\(object.name)_bucket_aggregation", arguments: arguments, type: "[\(aggregation)_bucket]",
                    meaning: .buckets(object.name)),
            ], by: object)
    }

    // MARK: Cells

    private var objectsWithCells: [DataObject] { model.orderedObjects.filter { $0.hasGeometry && !$0.isJunction } }

    private var cellFields: [Field] {
        objectsWithCells.isEmpty
            ? []
            : [
                Field(
                    name: "h3", arguments: "(\"H3 resolution to use for the query\" resolution: Int!)", type: "[_h3_query]",
                    description: "H3 aggregation query", meaning: .cells)
            ]
    }

    mutating func addCells() {
        guard !objectsWithCells.isEmpty else { return }
        type("_h3_data_query", nil, objectsWithCells.flatMap { members(of: $0, .cells) })
        claim(["_h3_query", "_distribution_by", "_distribution_by_bucket"])
        definitions.append(
            #"""
            type _h3_query {
              "The H3 cell" cell: H3Cell!
              "The resolution of the H3 cell" resolution: Int!
              "The geometry representation of the H3 cell" geom: Geometry!
              "The data associated with the H3 cell" data: _h3_data_query!
              "Calculate distributed aggregated value" distribution_by(
                "Path to numerator aggregated value" numerator: String!, "Path to denominator aggregated value" denominator: String!
              ): _distribution_by
              "Calculate distributed aggregated value across denominator buckets" distribution_by_bucket(
                "Path to bucket key in numerator bucket aggregation" numerator_key: String
                "Path to numerator aggregated value" numerator: String!
                "Path to bucket key in denominator bucket aggregation" denominator_key: String!
                "Path to denominator aggregated value in bucket aggregations" denominator: String!
              ): [_distribution_by_bucket]
            }
            type _distribution_by { value: Float ratio: Float numerator: Float denominator: Float denominator_total: Float }
            type _distribution_by_bucket {
              numerator_key: JSON denominator_key: JSON value: Float ratio: Float numerator: Float denominator: Float denominator_total: Float
            }

            """#)
    }
}
