public import ApusRuntime
internal import ApusTypes

/// Answers with files of the local file system: `ETag`, `Last-Modified`, conditions and ranges (RFC 9110, sections 13 and 14).
///
/// Files are read a piece at a time on a pool of their own, when the client has taken the piece before.
public struct FileResponder: Sendable {
    private let pool: BlockingPool
    private static let piece = 128 << 10

    public init(pool: BlockingPool) { self.pool = pool }

    /// Serves `ResponseBody.file`.
    static let shared = FileResponder(pool: BlockingPool(name: "http-files", threads: 4, queueLimit: 1024))

    /// The file at `path`; `route.unknown` (404) when there is no regular file that can be read. `headers` are added to the reply,
    /// and a `Content-Type` among them wins over the extension's.
    public func response(to request: Request, path: String, headers: Headers = [:]) async throws -> Response {
        let file = try await pool.run(deadline: request.deadline) { OpenFile(path: path) }
        return try response(to: request, file: file, name: path, headers: headers)
    }

    func response(to request: Request, file: OpenFile?, name: String, headers: Headers = [:]) throws -> Response {
        guard let file else { throw ApusError(.routeUnknown, "there is nothing at \(request.rawPath)") }
        var response = Response(headers: headers)
        response.headers["ETag"] = file.tag
        response.headers["Last-Modified"] = HTTPDate.text(secondsSinceEpoch: file.secondsModified)
        switch FileConditions(request.headers).outcome(tag: file.tag, secondsModified: file.secondsModified) {
        case .preconditionFailed: return Response(status: 412)
        case .notModified:
            response.status = 304
            return response
        case .proceed(let honoursRange):
            response.headers["Accept-Ranges"] = "bytes"
            if response.headers["Content-Type"] == nil { response.headers["Content-Type"] = ContentType.of(path: name) }
            let asks = honoursRange && (request.method == .get || request.method == .head)
            switch ByteRange(asks ? request.headers["Range"] : nil, size: file.size) {
            case .whole:
                send(file, 0..<file.size, &response)
            case .part(let range):
                response.status = 206
                response.headers["Content-Range"] = "bytes \(range.lowerBound)-\(range.upperBound)/\(file.size)"
                send(file, range.lowerBound..<(range.upperBound + 1), &response)
            case .unsatisfiable:
                return Response(status: 416, headers: ["Content-Range": "bytes */\(file.size)", "Accept-Ranges": "bytes"])
            }
            return response
        }
    }

    private func send(_ file: OpenFile, _ range: Range<Int>, _ response: inout Response) {
        response.headers["Content-Length"] = String(range.count)
        guard !range.isEmpty else {
            response.body = .bytes([])
            return
        }
        response.body = .stream { [pool] writer in
            for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.piece) {
                let count = min(Self.piece, range.upperBound - start)
                try await writer.write(try await pool.run { try file.read(at: start, count: count) })
            }
        }
    }
}

/// The conditions of a request, in the order of RFC 9110, section 13.2.2.
struct FileConditions {
    enum Outcome: Equatable {
        case proceed(honoursRange: Bool)
        case notModified
        case preconditionFailed
    }

    private let headers: Headers

    init(_ headers: Headers) { self.headers = headers }

    func outcome(tag: String, secondsModified: Int) -> Outcome {
        func date(_ field: String) -> Int? { headers[field].flatMap(HTTPDate.seconds) }
        func tags(_ field: String) -> [String]? { headers[field] == nil ? nil : HeaderList.elements(of: headers.all(field)) }
        if let wanted = tags("If-Match") {
            guard wanted.contains("*") || wanted.contains(tag) else { return .preconditionFailed }  // strong: a weak tag never matches
        } else if let date = date("If-Unmodified-Since"), secondsModified > date {
            return .preconditionFailed
        }
        if let known = tags("If-None-Match") {
            if known.contains(where: { $0 == "*" || $0 == tag || $0 == "W/" + tag }) { return .notModified }
        } else if let date = date("If-Modified-Since"), secondsModified <= date {
            return .notModified
        }
        // A range of something else than the client has a part of would be joined to a wrong whole.
        guard let condition = headers["If-Range"] else { return .proceed(honoursRange: true) }
        if condition.hasPrefix("\"") || condition.hasPrefix("W/") { return .proceed(honoursRange: condition == tag) }
        return .proceed(honoursRange: HTTPDate.seconds(condition) == secondsModified)
    }
}
