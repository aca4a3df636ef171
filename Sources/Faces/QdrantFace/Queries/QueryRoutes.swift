internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension QdrantFace {
    func mountQueries(on routes: inout Routes) {
        routes.on(.post, "/collections/{collection}/points/query", needs: .reader) { request in
            let points = try await hits(
                try await body(of: request), in: try name(request), ReplyBudget(options.maxReply), request)
            return .written { $0.member(points: points) }
        }
        routes.on(.post, "/collections/{collection}/points/query/batch", needs: .reader) { request in
            let name = try name(request)
            let searches = try await body(of: request).required("searches")
            guard searches.count <= options.maxBatch else {
                throw ApusError.wrong("\(searches.count) searches in one batch; \(options.maxBatch) are the most", "searches")
            }
            var answers: [[UInt8]] = []
            let budget = ReplyBudget(options.maxReply)
            for search in try searches.expectElements() { answers.append(try await hits(search, in: name, budget, request)) }
            return .written { [answers] writer in
                writer.array { for points in answers { $0.member(points: points) } }
            }
        }
        routes.on(.post, "/collections/{collection}/points/query/groups", needs: .reader, groups)
        routes.on(.post, "/collections/{collection}/points/scroll", needs: .reader, scroll)
        routes.on(.post, "/collections/{collection}/points/count", needs: .reader) { request in
            let name = try name(request)
            let filter = try await body(of: request).member("filter").filter().filter
            try await strictMode(of: name, request).check(filter)
            let count = try await vectors.count(name, matching: filter, deadline: request.deadline)
            return .result(["count": .integer(Int64(count))])
        }
        routes.on(.post, "/collections/{collection}/facet", needs: .reader) { request in
            let name = try name(request)
            let root = try await body(of: request)
            let path = try root.required("key").expectPath()
            let limit = try root.member("limit")?.expectCount(atLeast: 1) ?? 10
            let filter = try root.member("filter").filter().filter
            try await strictMode(of: name, request).check(limit: limit, filter)
            let hits = try await vectors.facet(name, at: path, filter: filter, limit: limit, deadline: request.deadline)
            let values = hits.map { JSONValue.object(["value": $0.value.json, "count": .integer(Int64($0.count))]) }
            return .result(["hits": .array(values)])
        }
    }

    /// What a query finds, as a list in JSON.
    private func hits(
        _ root: JSONElement, in name: CollectionName, _ budget: ReplyBudget, _ request: Request
    ) async throws -> [UInt8] {
        let parts = try PointParts(root, payload: false)
        let query = try QueryReading.query(root, of: name)
        try await strictMode(of: name, request).check(query: root)
        let hits = try await vectors.query(query, in: name, with: parts.projection, within: budget, deadline: request.deadline)
        return await Self.list(hits) { parts.write($0, to: &$1) }
    }

    private func scroll(_ request: Request) async throws -> Answer {
        let root = try await body(of: request)
        let name = try name(request)
        let parts = try PointParts(root, payload: true)
        let limit = try root.member("limit")?.expectCount(atLeast: 1) ?? 10
        let filter = try root.member("filter").filter().filter
        let budget = ReplyBudget(options.maxReply)
        try await strictMode(of: name, request).check(limit: limit, filter)
        guard let order = root.member("order_by") else {
            let start = try root.member("offset")?.expectPointID()
            let page = try await vectors.scroll(
                name, from: start, limit: limit, filter: filter, with: parts.projection, within: budget, deadline: request.deadline)
            let list = await Self.list(page.points) { parts.write($0, to: &$1) }
            return .written { $0.member(points: list, next: .some(page.next)) }
        }
        guard root.member("offset") == nil else {
            throw ApusError.wrong(
                "Cannot use an `offset` when using `order_by`. The alternative for paging is to use `order_by.start_from` and a filter to "
                    + "exclude the IDs that you've already seen for the `order_by.start_from` value")
        }
        let points = try await vectors.scroll(
            name, by: try QueryReading.order(order), limit: limit, filter: filter, with: parts.projection, within: budget,
            deadline: request.deadline)
        let list = await Self.list(points) { found, writer in
            parts.write(found.point, to: &writer) { if let order = found.order { $0.member("order_value", order.json) } }
        }
        return .written { $0.member(points: list, next: .some(nil)) }
    }

    private func groups(_ request: Request) async throws -> Answer {
        let root = try await body(of: request)
        let name = try name(request)
        let parts = try PointParts(root, payload: false)
        let path = try root.required("group_by").expectPath()
        let limit = try root.member("limit")?.expectCount(atLeast: 1) ?? 10
        let size = try root.member("group_size")?.expectCount(atLeast: 1) ?? 3
        let query = try QueryReading.query(root, of: name)
        try await strictMode(of: name, request).check(query: root)
        let budget = ReplyBudget(options.maxReply)
        let groups = try await vectors.groups(
            query, by: path, limit: limit, size: size, in: name, with: parts.projection, within: budget, deadline: request.deadline)
        let lookup = try root.member("with_lookup").map { element throws(ApusError) in try Self.lookup(element) }
        let found = try await lookUp(groups, lookup, budget, request)
        let list = await Self.list(groups) { group, writer in
            writer.object {
                $0.member("id", group.value.json)
                $0.key("hits")
                $0.array { for hit in group.hits { parts.write(hit, to: &$0) } }
                if let lookup, let id = Self.pointID(group.value), let point = found[id] {
                    $0.key("lookup")
                    lookup.parts.write(point, to: &$0)
                }
            }
        }
        return .written { writer in
            writer.object {
                $0.key("groups")
                $0.raw(list)
            }
        }
    }

    private struct Lookup {
        var collection: CollectionName
        var parts: PointParts
    }

    /// A collection's name, or `{"collection", "with_payload", "with_vectors"}`.
    private static func lookup(_ element: JSONElement) throws(ApusError) -> Lookup {
        if let name = element.string { return Lookup(collection: CollectionName(name), parts: PointParts(payload: .all, vectors: nil)) }
        return Lookup(
            collection: CollectionName(try element.expectObject().required("collection").expectString()),
            parts: try PointParts(element, payload: true))
    }

    private func lookUp(
        _ groups: [PointGroup], _ lookup: Lookup?, _ budget: ReplyBudget, _ request: Request
    ) async throws -> [PointID: Point] {
        guard let lookup else { return [:] }
        let ids = Array(Set(groups.compactMap { Self.pointID($0.value) }))
        let points = try await vectors.points(
            ids, in: lookup.collection, with: lookup.parts.projection, within: budget, deadline: request.deadline)
        return Dictionary(points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The point that a group's value names.
    private static func pointID(_ value: Scalar) -> PointID? {
        switch value {
        case .integer(let number): UInt64(exactly: number).map { .integer($0) }
        case .unsigned(let number): .integer(number)
        case .string(let text): PointID(uuid: text.text)
        default: nil
        }
    }
}

extension JSONWriter {
    /// `{"points": …}`, and where the next page begins if that is told.
    fileprivate mutating func member(points: [UInt8], next: PointID?? = nil) {
        object {
            $0.key("points")
            $0.raw(points)
            if let next { $0.member("next_page_offset", next?.json ?? .null) }
        }
    }
}
