internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension QdrantFace {
    func mountQueries(on routes: inout Routes) {
        routes.on(.post, "/collections/{collection}/points/query", needs: .reader) { request in
            let (hits, parts) = try await query(try await body(of: request), in: try name(request), request)
            return .written { Self.write(hits, parts, to: &$0) }
        }
        routes.on(.post, "/collections/{collection}/points/query/batch", needs: .reader) { request in
            let name = try name(request)
            let searches = try await body(of: request).required("searches")
            guard searches.count <= options.maxBatch else {
                throw ApusError.wrong("\(searches.count) searches in one batch; \(options.maxBatch) are the most", "searches")
            }
            var answers: [(hits: [QueryHit], parts: PointParts)] = []
            for search in try searches.expectElements() { answers.append(try await query(search, in: name, request)) }
            return .written { [answers] writer in
                writer.array { for answer in answers { Self.write(answer.hits, answer.parts, to: &$0) } }
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

    private func query(
        _ root: JSONElement, in name: CollectionName, _ request: Request
    ) async throws -> (hits: [QueryHit], parts: PointParts) {
        let parts = try PointParts(root, payload: false)
        let query = try QueryReading.query(root, of: name)
        try await strictMode(of: name, request).check(query: root)
        return (try await vectors.query(query, in: name, with: parts.projection, deadline: request.deadline), parts)
    }

    private static func write(_ hits: [QueryHit], _ parts: PointParts, to writer: inout JSONWriter) {
        writer.object {
            $0.key("points")
            $0.array { for hit in hits { parts.write(hit, to: &$0) } }
        }
    }

    private func scroll(_ request: Request) async throws -> Answer {
        let root = try await body(of: request)
        let name = try name(request)
        let parts = try PointParts(root, payload: true)
        let limit = try root.member("limit")?.expectCount(atLeast: 1) ?? 10
        let filter = try root.member("filter").filter().filter
        try await strictMode(of: name, request).check(limit: limit, filter)
        guard let order = root.member("order_by") else {
            let start = try root.member("offset")?.expectPointID()
            let page = try await vectors.scroll(
                name, from: start, limit: limit, filter: filter, with: parts.projection, deadline: request.deadline)
            return .written { writer in
                writer.object {
                    $0.key("points")
                    $0.array { for point in page.points { parts.write(point, to: &$0) } }
                    $0.member("next_page_offset", page.next?.json ?? .null)
                }
            }
        }
        guard root.member("offset") == nil else {
            throw ApusError.wrong(
                "Cannot use an `offset` when using `order_by`. The alternative for paging is to use `order_by.start_from` and a filter to "
                    + "exclude the IDs that you've already seen for the `order_by.start_from` value")
        }
        let points = try await vectors.scroll(
            name, by: try QueryReading.order(order), limit: limit, filter: filter, with: parts.projection, deadline: request.deadline)
        return .written { writer in
            writer.object {
                $0.key("points")
                $0.array {
                    for (point, order) in points {
                        parts.write(point, to: &$0) { if let order { $0.member("order_value", order.json) } }
                    }
                }
                $0.member("next_page_offset", .null)
            }
        }
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
        let groups = try await vectors.groups(
            query, by: path, limit: limit, size: size, in: name, with: parts.projection, deadline: request.deadline)
        let lookup = try root.member("with_lookup").map { element throws(ApusError) in try Self.lookup(element) }
        let found = try await lookUp(groups, lookup, request)
        return .written { writer in
            writer.object {
                $0.key("groups")
                $0.array {
                    for group in groups {
                        $0.object {
                            $0.member("id", group.value.json)
                            $0.key("hits")
                            $0.array { for hit in group.hits { parts.write(hit, to: &$0) } }
                            if let lookup, let id = Self.pointID(group.value), let point = found[id] {
                                $0.key("lookup")
                                lookup.parts.write(point, to: &$0)
                            }
                        }
                    }
                }
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

    private func lookUp(_ groups: [PointGroup], _ lookup: Lookup?, _ request: Request) async throws -> [PointID: Point] {
        guard let lookup else { return [:] }
        let ids = Array(Set(groups.compactMap { Self.pointID($0.value) }))
        let points = try await vectors.points(ids, in: lookup.collection, with: lookup.parts.projection, deadline: request.deadline)
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
