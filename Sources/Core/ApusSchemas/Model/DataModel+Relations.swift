/// Declared references to ways between objects.
extension DataModel {
    mutating func relate(_ schema: SourceSchema) throws(SchemaProblems) {
        var problems: [SchemaProblem] = []
        var legs: [String: [Reference]] = [:]
        for reference in schema.references {
            guard let complete = completed(reference, &problems) else { continue }
            if objects[reference.source]?.isJunction == true {
                legs[reference.source, default: []].append(complete)
            } else {
                relate(complete, declaredBy: schema.source.name)
            }
        }
        for junction in schema.objects where junction.isJunction {
            let ends = legs[junction.name] ?? []
            guard ends.count == 2 else {
                problems.append(
                    SchemaProblem(
                        place: schema.places[junction.name], rule: .reference,
                        message: "\(junction.name): @table(is_m2m: true) needs exactly two references, to the objects that it relates"))
                continue
            }
            relate(ends[0], over: junction.name, to: ends[1], declaredBy: schema.source.name)
            relate(ends[1], over: junction.name, to: ends[0], declaredBy: schema.source.name)
        }
        for name in schema.objects.map(\.name) + schema.additions.map(\.object) { addJoins(of: name, schema, &problems) }
        try schema.refuse(problems)
    }

    /// With the target's primary key where no fields are named; nil, and a problem, for what leads nowhere.
    private func completed(_ reference: Reference, _ problems: inout [SchemaProblem]) -> Reference? {
        var reference = reference
        let name = "\(reference.source): reference \"\(reference.name)\""
        func refuse(_ message: String) -> Reference? {
            problems.append(SchemaProblem(place: reference.place, rule: .reference, message: "\(name) \(message)"))
            return nil
        }
        guard let source = objects[reference.source] else { return nil }
        guard let target = objects[reference.target] else {
            return refuse("leads to \"\(reference.target)\", which is no table or view; name one in references_name")
        }
        if reference.targetFields.isEmpty {
            reference.targetFields = target.primaryKey.map(\.name)
            guard reference.targetFields.count == reference.sourceFields.count else {
                return refuse("does not say to which field of \(target.name), whose primary key is not one field; name it in field")
            }
        }
        guard reference.sourceFields.count == reference.targetFields.count, !reference.sourceFields.isEmpty else {
            return refuse("needs as many source_fields as references_fields")
        }
        for field in reference.sourceFields where !source.fields.contains(where: { $0.name == field && $0.isColumn }) {
            return refuse("starts at \"\(field)\", which is no column of \(source.name)")
        }
        for field in reference.targetFields where !target.fields.contains(where: { $0.name == field && $0.isColumn }) {
            return refuse("leads to \"\(field)\", which is no column of \(target.name)")
        }
        return reference
    }

    /// There, and back.
    private mutating func relate(_ reference: Reference, declaredBy declarer: String) {
        let pairs = zip(reference.sourceFields, reference.targetFields).map { Navigation.Pair(near: $0, far: $1) }
        if let name = reference.query, !name.isEmpty {
            add(
                name, from: reference.source, to: reference.target, isList: false, .fields(pairs, condition: nil), reference.description,
                declarer)
        }
        if let name = reference.backQuery, !name.isEmpty {
            add(
                name, from: reference.target, to: reference.source, isList: true,
                .fields(pairs.map { Navigation.Pair(near: $0.far, far: $0.near) }, condition: nil), reference.backDescription,
                declarer)
        }
    }

    /// From the end of one reference of a junction to the end of the other. It has the name of the way back to the junction.
    private mutating func relate(_ near: Reference, over junction: String, to far: Reference, declaredBy declarer: String) {
        guard let name = near.backQuery, !name.isEmpty else { return }
        let path = Navigation.Path.junction(
            junction, near: zip(near.targetFields, near.sourceFields).map { Navigation.Pair(near: $0, far: $1) },
            far: zip(far.sourceFields, far.targetFields).map { Navigation.Pair(near: $0, far: $1) })
        add(name, from: near.target, to: far.target, isList: true, path, near.backDescription, declarer)
    }

    private mutating func add(
        _ name: String, from source: String, to target: String, isList: Bool, _ path: Navigation.Path, _ description: String?,
        _ declarer: String
    ) {
        guard let end = objects[target], let start = objects[source] else { return }
        let isLocal = start.source == end.source
        objects[source]?.navigations.append(
            Navigation(
                name: name, target: target, isList: isList, path: path, description: description,
                isFilterable: isLocal && end.arguments == nil && sources[start.source]?.hasPoints != true,
                isInsertable: isLocal && end.isMutable && !start.isJunction && !end.isJunction,
                addedBy: start.source == declarer ? nil : declarer))
    }

    private mutating func addJoins(of name: String, _ schema: SourceSchema, _ problems: inout [SchemaProblem]) {
        guard let object = objects[name] else { return }
        for field in object.fields where !object.navigations.contains(where: { $0.name == field.name }) {
            guard case .join(let join) = field.kind, (field.addedBy ?? object.source) == schema.source.name else { continue }
            func refuse(_ message: String) {
                problems.append(
                    SchemaProblem(place: schema.places[name], rule: .reference, message: "\(name).\(field.name): @join \(message)"))
            }
            guard let target = objects[join.target] else {
                refuse("leads to \"\(join.target)\", which is no table or view")
                continue
            }
            for (fields, end) in [(join.sourceFields, object), (join.targetFields, target)] {
                for column in fields where !end.fields.contains(where: { $0.name == column && $0.isColumn }) {
                    refuse("names \"\(column)\", which is no column of \(end.name)")
                }
            }
            if join.sql != nil, object.source != target.source { refuse("between two data sources needs fields, and cannot have sql") }
            let pairs = zip(join.sourceFields, join.targetFields).map { Navigation.Pair(near: $0, far: $1) }
            objects[name]?.navigations.append(
                Navigation(
                    name: field.name, target: join.target, isList: field.type.isList, path: .fields(pairs, condition: join.sql),
                    description: field.description, isFilterable: false, isInsertable: false, addedBy: field.addedBy))
        }
    }
}
