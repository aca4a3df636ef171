internal import ApusCatalog
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

extension QdrantFace {
    func mountAliases(on routes: inout Routes) {
        routes.on(.get, "/aliases", needs: .reader, over: .collections) { _ in .result(Self.list(try vectors.aliases())) }
        routes.on(.get, "/collections/{collection}/aliases", needs: .reader) { request in
            let collection = try await vectors.collection(try name(request), deadline: request.deadline)
            return .result(Self.list(try vectors.aliases().filter { $0.collection == collection.name }))
        }
        routes.on(.post, "/collections/aliases", needs: .writer) { request in
            var changes: [AliasChange] = []
            for action in try await body(of: request).required("actions").expectElements() { changes.append(try Self.change(action)) }
            try await vectors.changeAliases(changes, deadline: request.deadline)
            return .result(true)
        }
    }

    private static func list(_ aliases: [(alias: CollectionName, collection: CollectionName)]) -> JSONValue {
        let list = aliases.map {
            JSONValue.object(["alias_name": .string($0.alias.rawValue), "collection_name": .string($0.collection.rawValue)])
        }
        return ["aliases": .array(list)]
    }

    private static func change(_ action: JSONElement) throws(ApusError) -> AliasChange {
        func name(_ element: JSONElement, _ member: String) throws(ApusError) -> CollectionName {
            CollectionName(try element.required(member).expectString())
        }
        func newName(_ element: JSONElement, _ member: String) throws(ApusError) -> CollectionName {
            let alias = try name(element, member)
            try CollectionReading.check(collection: alias)
            return alias
        }
        if let create = action.member("create_alias") {
            return .set(alias: try newName(create, "alias_name"), collection: try name(create, "collection_name"))
        }
        if let delete = action.member("delete_alias") { return .remove(alias: try name(delete, "alias_name")) }
        if let rename = action.member("rename_alias") {
            return .rename(alias: try name(rename, "old_alias_name"), to: try newName(rename, "new_alias_name"))
        }
        throw .format(action.path, "unknown alias operation")
    }
}
