internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectors
internal import Synchronization

extension QdrantFace {
    func mountSnapshots(on routes: inout Routes) {
        let path = "/collections/{collection}/snapshots"
        routes.on(.get, path, needs: .reader) { request in
            let rows = try await vectors.snapshots(of: try name(request), deadline: request.deadline)
            return .result(.array(rows.map(\.json)))
        }
        routes.on(.post, path, needs: .writer) { request in
            .result(try await vectors.createSnapshot(of: try name(request), deadline: request.deadline).json)
        }
        routes.on(.get, "/collections/{collection}/snapshots/{snapshot}", needs: .reader, download)
        routes.on(.delete, "/collections/{collection}/snapshots/{snapshot}", needs: .writer) { request in
            try await vectors.deleteSnapshot(try request.parameter("snapshot"), of: try name(request), deadline: request.deadline)
            return .result(true)
        }
        routes.on(.put, "/collections/{collection}/snapshots/recover", needs: .administrator, recover)
        routes.on(.post, "/collections/{collection}/snapshots/upload", needs: .administrator, upload)
        // Of the whole storage there are none: the catalog and the store are backed up by their own tools.
        routes.on(.get, "/snapshots", needs: .reader) { _ in .result([]) }
        routes.on(.post, "/snapshots", needs: .writer) { _ in
            throw ApusError.wrong("there are no snapshots of the whole storage here: make one of each collection")
        }
        routes.on(.delete, "/snapshots/{snapshot}", needs: .writer) { request in
            throw ApusError(.snapshotUnknown, "there is none", context: ["snapshot": try request.parameter("snapshot")])
        }
    }

    private func download(_ request: Request) async throws -> Answer {
        let row = try await vectors.snapshot(try request.parameter("snapshot"), of: try name(request), deadline: request.deadline)
        let content = try vectors.content(of: row)
        return .response(
            Response(
                headers: [
                    "Content-Type": "application/octet-stream", "Content-Length": String(row.size.bytes),
                    "Content-Disposition": "attachment; filename=\"\(row.name)\"",
                ],
                body: .stream { writer in for try await bytes in content { try await writer.write(bytes) } }))
    }

    /// `{"location", "checksum"?, "api_key"?}`: a URL from which a snapshot is fetched, or `file:///…/COLLECTION/NAME` for one of this
    /// cluster, which is found by the last two parts of the path.
    private func recover(_ request: Request) async throws -> Answer {
        let name = try name(request)
        try CollectionReading.check(collection: name)
        let root = try await body(of: request)
        let location = try root.required("location").expectString()
        let checksum = try root.member("checksum")?.expectString()
        if location.hasPrefix("file://") {
            let parts = location.dropFirst(7).split(separator: "/")
            guard parts.count >= 2, let snapshot = parts.last.map(String.init) else {
                throw ApusError.wrong("the location is not file:///…/COLLECTION/NAME", "location")
            }
            let source = CollectionName(String(parts[parts.count - 2]))
            let row = try await vectors.snapshot(snapshot, of: source, deadline: request.deadline)
            if let checksum, checksum.lowercased() != row.digest.description {
                throw ApusError.wrong("Snapshot checksum mismatch: expected \(checksum), got \(row.digest)", "checksum")
            }
            try await vectors.recover(name, from: row, replicas: options.replicas)
            return .result(true)
        }
        guard location.hasPrefix("http://") || location.hasPrefix("https://"), let client else {
            throw ApusError.wrong("the location is no file:, http: or https: URL", "location")
        }
        var headers: Headers = [:]
        if let key = try root.member("api_key")?.expectString() { headers["api-key"] = key }
        let response = try await client.send(
            ClientRequest(.get, location, headers: headers, body: .none, deadline: clock.now.advanced(by: .seconds(3600))))
        guard response.status == 200 else {
            throw ApusError.wrong("the snapshot could not be fetched: \(location) answered \(response.status)", "location")
        }
        let meter = Meter(limit: options.maxSnapshot)
        // What a pre-signed URL has behind its path lets whoever knows it in.
        let path = location.prefix { $0 != "?" && $0 != "#" }
        let stem = path.split(separator: "/").last.map(String.init) ?? "snapshot"
        try await vectors.recover(name, uploaded: Self.snapshotName(stem), checksum: checksum, replicas: options.replicas) {
            try await meter.next(of: response.body)
        }
        return .result(true)
    }

    /// A snapshot in the part `snapshot` of a form.
    private func upload(_ request: Request) async throws -> Answer {
        let name = try name(request)
        try CollectionReading.check(collection: name)
        var limits = MultipartLimits()
        limits.partSize = options.maxSnapshot
        let form = try MultipartForm(request, limits: limits)
        while let part = try await form.next() {
            guard part.name == "snapshot" else { continue }
            let file = part.fileName ?? "\(name).snapshot"
            try await vectors.recover(
                name, uploaded: Self.snapshotName(file), checksum: request.query["checksum"], replicas: options.replicas
            ) { try await part.body.next() }
            return .result(true)
        }
        throw ApusError.wrong("the form has no part 'snapshot'", "snapshot")
    }

    /// A file's name as one that a URL and a header can carry.
    private static func snapshotName(_ text: String) -> String {
        let name = text.unicodeScalars.filter {
            $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.".unicodeScalars.contains($0))
        }
        let stem = String(String.UnicodeScalarView(name)).drop { $0 == "." }.suffix(200)
        return stem.isEmpty ? "uploaded.snapshot" : String(stem)
    }
}

/// Counts what comes from a server that may send without end.
private final class Meter: Sendable {
    private let received = Mutex(0)
    private let limit: ByteCount

    init(limit: ByteCount) { self.limit = limit }

    func next(of body: any RequestBody) async throws -> [UInt8]? {
        let bytes = try await body.next()
        let sum = received.withLock { sum in
            sum += bytes?.count ?? 0
            return sum
        }
        guard sum <= limit.bytes else { throw ApusError(.requestTooLarge, "the snapshot is larger than \(limit)") }
        return bytes
    }
}

extension SnapshotRow {
    fileprivate var json: JSONValue {
        [
            "name": .string(name), "creation_time": .string(String(createdAt.description.prefix(19))),
            "size": .integer(Int64(size.bytes)), "checksum": .string(digest.description),
        ]
    }
}
