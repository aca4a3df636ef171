/// Input types: filters, and the data of mutations.
extension APIGenerator {
    mutating func addFilters(_ object: DataObject) {
        let name = "\(object.name)_filter"
        var fields = object.columns.compactMap { filterField($0, nests: true) }
        for navigation in object.navigations where navigation.isFilterable {
            fields.append(Field(name: navigation.name, type: "\(navigation.target)_\(navigation.isList ? "list_" : "")filter"))
        }
        input(name, "Filter for \(object.name) objects", fields + Self.logic(name))
        addListFilter(object.name)
    }

    /// Filters of structs know scalars alone, as the dialect has it.
    mutating func addFilters(_ structure: Structure) {
        let fields = structure.fields.compactMap { filterField($0, nests: false) }
        guard !fields.isEmpty else { return }
        input("\(structure.name)_filter", nil, fields + Self.logic("\(structure.name)_filter"))
        addListFilter(structure.name)
    }

    private mutating func addListFilter(_ name: String) {
        input("\(name)_list_filter", nil, ["any_of", "all_of", "none_of"].map { Field(name: $0, type: "\(name)_filter") })
    }

    private static func logic(_ name: String) -> [Field] {
        [Field(name: "_and", type: "[\(name)]"), Field(name: "_or", type: "[\(name)]"), Field(name: "_not", type: name)]
    }

    private func filterField(_ field: DataField, nests: Bool) -> Field? {
        guard field.isColumn else { return nil }
        let type: String?
        switch field.type.element {
        case .scalar(let scalar): type = scalar.filterType(isList: field.type.isList)
        case .structure(let name):
            let isKnown = model.structures[name]?.fields.contains { filterField($0, nests: false) != nil } == true
            type = nests && isKnown ? "\(name)_\(field.type.isList ? "list_" : "")filter" : nil
        case .enumeration, .object, .list: type = nil
        }
        return type.map { Field(name: field.name, type: $0 + (field.isFilterRequired ? "!" : ""), description: field.description) }
    }

    // MARK: Mutations

    /// What is inserted may bring related rows; what is set may not. Nothing is required: what is missing is the database's default.
    mutating func addInputs(_ object: DataObject) {
        let columns = object.columns.filter { $0.storedColumn != nil }
        let related = object.navigations.filter(\.isInsertable).map { navigation in
            let type = "\(navigation.target)_mut_input_data"
            return Field(name: navigation.name, type: navigation.isList ? "[\(type)]" : type)
        }
        input("\(object.name)_mut_input_data", nil, columns.map { dataField($0, "_mut_input_data") } + related)
        input("\(object.name)_mut_data", nil, columns.map { dataField($0, "_mut_data") })
    }

    /// Whether its database decides what becomes of a row that is there already. What a source inserts by code of its own has no such way.
    func isUpsertable(_ object: DataObject) -> Bool {
        object.isMutable && model.sources[object.source]?.actsItself != true && !object.conflictKeys.isEmpty
    }

    mutating func addConflicts(_ object: DataObject) {
        let name = object.name
        enumeration("\(name)_constraint", object.conflictKeys.map(\.name))
        // The language has no enum values of these names: such columns stay as they are.
        let literals: Set = ["true", "false", "null"]
        enumeration(
            "\(name)_update_column", object.columns.filter { $0.storedColumn != nil && !literals.contains($0.name) }.map(\.name))
        input(
            "\(name)_on_conflict", "What becomes of a row of \(name) that is there already",
            [
                Field(name: "constraint", type: "\(name)_constraint!", description: "What a row is known by"),
                Field(
                    name: "update_columns", type: "[\(name)_update_column!]! = []",
                    description: "What is set to what was to be inserted; nothing: the row stays as it is, and is not told"),
                Field(name: "where", type: "\(name)_filter", description: "Rows of which it is not true stay as they are"),
            ])
    }

    mutating func addInputs(_ structure: Structure) {
        for suffix in ["_mut_input_data", "_mut_data"] {
            input(structure.name + suffix, nil, structure.fields.filter(\.isColumn).map { dataField($0, suffix) })
        }
    }

    private func dataField(_ field: DataField, _ suffix: String) -> Field {
        var type = field.type.text
        if case .structure(let name) = field.type.element { type = field.type.isList ? "[\(name)\(suffix)]" : name + suffix }
        return Field(name: field.name, type: type)
    }
}

extension DataObject {
    /// The keys by which a row that is to be inserted may be there already.
    public var conflictKeys: [UniqueKey] {
        (primaryKey.isEmpty ? [] : [UniqueKey(fields: primaryKey.map(\.name), querySuffix: "by_pk")])
            + uniqueKeys.filter { $0.match == nil }
    }
}
