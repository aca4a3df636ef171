internal import ApusCatalog
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension QdrantFace {
    func mountPoints(on routes: inout Routes) {
        write(&routes, .put, "/collections/{collection}/points", "upsert")
        write(&routes, .post, "/collections/{collection}/points/delete", "delete")
        write(&routes, .put, "/collections/{collection}/points/vectors", "update_vectors")
        write(&routes, .post, "/collections/{collection}/points/vectors/delete", "delete_vectors")
        routes.on(.post, "/collections/{collection}/points", needs: .reader) { request in
            let name = try name(request)
            let root = try await body(of: request)
            let ids = try root.required("ids").expectPointIDs()
            let parts = try PointParts(root, payload: true)
            let points = try await vectors.points(
                ids, in: name, with: parts.projection, within: ReplyBudget(options.maxReply), deadline: request.deadline)
            let list = await Self.list(points) { parts.write($0, to: &$1) }
            return .written { $0.raw(list) }
        }
        routes.on(.get, "/collections/{collection}/points/{id}", needs: .reader) { request in
            let name = try name(request)
            let text: String = try request.parameter("id")
            guard let id = UInt64(text).map({ PointID.integer($0) }) ?? PointID(uuid: text) else {
                throw ApusError.invalidPath("id", "\(text) is not a valid point ID")
            }
            let found = try await vectors.points([id], in: name, deadline: request.deadline)
            guard let point = found.first else { throw ApusError(.pointUnknown, "it is not there", context: ["id": text]) }
            return .written { PointParts.all.write(point, to: &$0) }
        }
        routes.on(.post, "/collections/{collection}/points/batch", needs: .writer) { request in
            let name = try name(request)
            let document = try await document(of: request)
            let list = try document.root.required("operations")
            guard list.count <= options.maxBatch else {
                throw ApusError.wrong("\(list.count) operations in one batch; \(options.maxBatch) are the most", "operations")
            }
            let reading = try await reading(for: name, request)
            var operations: [UpdateOperation] = []
            let limits = try await strictMode(of: name, request)
            for element in try list.expectElements() {
                let operation = try UpdateOperation(element, reading)
                try limits.check(operation)
                operations.append(operation)
            }
            for (index, operation) in operations.enumerated() {
                var id = document.operation
                id?.scope += " #\(index)"
                try await perform(operation, on: name, id, deadline: request.deadline)
            }
            let result = Self.updateResult(request)
            return .result(.array(operations.map { _ in result }))
        }
    }

    /// A route whose whole body is one operation.
    func write(_ routes: inout Routes, _ method: Method, _ path: String, _ kind: String) {
        routes.on(method, path, needs: .writer) { request in
            let name = try name(request)
            let document = try await document(of: request)
            let operation = try UpdateOperation(kind, document.root, try await reading(for: name, request))
            try await strictMode(of: name, request).check(operation)
            try await perform(operation, on: name, document.operation, deadline: request.deadline)
            return .result(Self.updateResult(request))
        }
    }

    func reading(for name: CollectionName, _ request: Request) async throws -> VectorReading {
        VectorReading(fields: try await vectors.collection(name, deadline: request.deadline).configuration.fields)
    }

    /// Every write shows when it is answered; a client that did not want to wait is told the word that it expects.
    static func updateResult(_ request: Request) -> JSONValue { ["status": .string(request.waits ? "completed" : "acknowledged")] }

    /// A body, and what it is recognised by when it is sent again with an `Idempotency-Key`.
    private func document(of request: Request) async throws -> (root: JSONElement, operation: OperationID?) {
        let bytes = try await request.body.collect(limit: options.maxBody)
        let root = try JSONDocument(parsing: bytes).root
        guard root.kind == .object else { throw ApusError.format("", "invalid type: expected an object") }
        guard let key = request.headers["Idempotency-Key"] else { return (root, nil) }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ApusError.wrong("Idempotency-Key is not 1 to 255 visible ASCII characters", "Idempotency-Key")
        }
        let scope = "\(request.principal?.id ?? "") \(request.method.rawValue) \(request.rawPath)"
        return (root, OperationID(scope: scope, id: key, bodyDigest: Digest(of: bytes), origin: .init(ofKey: key)))
    }
}
