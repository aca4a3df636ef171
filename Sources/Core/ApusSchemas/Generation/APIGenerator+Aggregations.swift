/// Types of aggregations: of an object's rows, of buckets of them, and of aggregations over the rows of another.
extension APIGenerator {
    mutating func addAggregations(_ object: DataObject) {
        let name = "_\(object.name)_aggregation"
        var fields = [Field(name: "_rows_count", type: "BigInt")] + object.columns.compactMap { aggregated($0, again: false) }
        for navigation in object.navigations {
            let type = "_\(navigation.target)_aggregation"
            guard navigation.isList else {
                fields.append(Field(name: navigation.name, arguments: arguments(of: navigation, .relatedOne), type: type))
                continue
            }
            fields.append(Field(name: navigation.name, arguments: arguments(of: navigation, .aggregated), type: type))
            fields.append(
                Field(
                    name: "\(navigation.name)_aggregation", arguments: arguments(of: navigation, .aggregatedAgain),
                    type: "\(type)_sub_aggregation"))
        }
        fields += object.memberNames.compactMap { derived($0, object, again: false) }
        if !object.isJunction { fields.append(Field(name: "_join", arguments: "(fields: [String!]!)", type: "_join_aggregation")) }
        if object.hasGeometry, !object.isJunction {
            fields.append(Field(name: "_spatial", arguments: Self.spatialArguments, type: "_spatial_aggregation"))
        }
        type(name, nil, fields)
        type(
            "\(name)_bucket", "Bucket aggregation for \(object.name)",
            [
                Field(name: "key", type: object.name, description: "The key of the bucket"),
                Field(
                    name: "aggregations",
                    arguments:
                        "(\"Filter\" filter: \(object.name)_filter, \"Sort options for the result set\" order_by: [OrderByField])",
                    type: name, description: "The aggregations of the bucket"),
            ])
        addAggregationsAgain(object, name)
    }

    /// Aggregations of the object's aggregations over groups, two levels deep.
    private mutating func addAggregationsAgain(_ object: DataObject, _ name: String) {
        var fields = [Field(name: "_rows_count", type: "BigIntAggregation")] + object.columns.compactMap { aggregated($0, again: true) }
        for navigation in object.navigations where navigation.isList && !object.isDeclaredJoin(navigation) {
            let type = "_\(navigation.target)_aggregation_sub_aggregation"
            fields.append(Field(name: navigation.name, arguments: arguments(of: navigation, .aggregated), type: type))
            fields.append(
                Field(
                    name: "\(navigation.name)_aggregation", arguments: arguments(of: navigation, .aggregatedAgain),
                    type: "\(type)_sub_aggregation"))
        }
        fields += object.memberNames.compactMap { derived($0, object, again: true) }
        type("\(name)_sub_aggregation", nil, fields)
        type("\(name)_sub_aggregation_sub_aggregation", nil, [Field(name: "_rows_count", type: "BigIntSubAggregation")])
    }

    private func aggregated(_ field: DataField, again: Bool) -> Field? {
        guard !field.type.isList else { return nil }
        switch field.type {
        case .scalar(let scalar):
            guard !scalar.aggregates.isEmpty else { return nil }
            return Field(
                name: field.name, arguments: columnField(field).arguments, type: scalar.name + (again ? "SubAggregation" : "Aggregation"))
        case .structure(let name):
            return Field(name: field.name, type: "_\(name)_aggregation\(again ? "_sub_aggregation" : "")")
        case .enumeration, .object, .list: return nil
        }
    }

    private func derived(_ name: String, _ object: DataObject, again: Bool) -> Field? {
        switch object.member(name) {
        case .derived(let derived, _):
            Field(name: name, arguments: derived.arguments, type: derived.scalar.name + (again ? "SubAggregation" : "Aggregation"))
        case .queryDistance where !again: Field(name: name, arguments: "(query: String!)", type: "FloatAggregation")
        case .functionCall(let field): aggregated(field, again: again)
        default: nil
        }
    }

    mutating func addAggregations(_ structure: Structure) {
        func fields(again: Bool) -> [Field] {
            structure.fields.compactMap { field -> Field? in
                if case .structure = field.type, again { return nil }
                return aggregated(field, again: again).map { Field(name: $0.name, type: $0.type) }
            }
        }
        let name = "_\(structure.name)_aggregation"
        type(name, nil, [Field(name: "_rows_count", type: "BigInt")] + fields(again: false))
        type("\(name)_sub_aggregation", nil, [Field(name: "_rows_count", type: "BigIntAggregation")] + fields(again: true))
    }
}

extension DataObject {
    /// Whether a way was declared with `@join`, not as a reference.
    func isDeclaredJoin(_ navigation: Navigation) -> Bool { fields.contains { $0.name == navigation.name && $0.isNavigation } }
}
