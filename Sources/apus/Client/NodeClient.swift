internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// Calls a running node over HTTP, in JSON. What a node refuses comes back as the `ApusError` that it gave.
struct NodeClient: Sendable {
    let url: String
    private let key: Redacted<String>?
    private let http: HTTPClient
    private let clock = BootClock()

    /// The loops live as long as the process: a command is one.
    init(_ invocation: Invocation, loops: Int = 1) throws(ApusError) {
        url = try ClientOptions.baseURL(invocation)
        key = try ClientOptions.key(invocation)
        http = HTTPClient(loops: EventLoops(count: loops))
    }

    init(url: String, key: Redacted<String>?, http: HTTPClient) {
        self.url = url
        self.key = key
        self.http = http
    }

    struct Reply: Sendable {
        var status: Int
        var body: JSONValue
        var retryAfter: Duration?
    }

    /// `path` begins with "/" and is encoded. Throws what the node answered when that is an error, `node.unreachable` when nobody did.
    func call(
        _ method: Method, _ path: String, _ body: [UInt8]? = nil, idempotencyKey: String? = nil, timeout: Duration = .seconds(30)
    ) async throws(ApusError) -> JSONValue {
        let reply = try await send(method, path, body, idempotencyKey: idempotencyKey, timeout: timeout)
        guard reply.status < 400 else { throw Self.error(reply, path) }
        return reply.body
    }

    /// Sends a body of `size` bytes that `body` writes. Throws what the node answered when that is an error, and what `body` throws.
    func upload(
        _ method: Method, _ path: String, size: ByteCount, timeout: Duration = .seconds(1800),
        _ body: @escaping @Sendable (_ send: ([UInt8]) async throws -> Void) async throws -> Void
    ) async throws(ApusError) -> JSONValue {
        let failure = Mutex<ApusError?>(nil)
        let reply: Reply
        do throws(ApusError) {
            reply = try await send(
                method, path, timeout: timeout, type: "application/octet-stream",
                body: .stream(size: size) { writer in
                    do { try await body { try await writer.write($0) } } catch {
                        failure.withLock { $0 = error as? ApusError }
                        throw error
                    }
                })
        } catch {
            throw failure.withLock { $0 } ?? error
        }
        guard reply.status < 400 else { throw Self.error(reply, path) }
        return reply.body
    }

    /// The reply whatever its status.
    func send(
        _ method: Method, _ path: String, _ body: [UInt8]? = nil, idempotencyKey: String? = nil, timeout: Duration = .seconds(30)
    ) async throws(ApusError) -> Reply {
        try await send(
            method, path, idempotencyKey: idempotencyKey, timeout: timeout, type: body == nil ? nil : "application/json",
            body: body.map { .bytes($0) } ?? .none)
    }

    private func send(
        _ method: Method, _ path: String, idempotencyKey: String? = nil, timeout: Duration, type: String?, body: ClientRequest.Body
    ) async throws(ApusError) -> Reply {
        var headers: Headers = ["Accept": "application/json", "User-Agent": "apus/\(Version.current)"]
        if let type { headers["Content-Type"] = type }
        if let key { headers["Authorization"] = "Bearer \(key.reveal())" }
        if let idempotencyKey { headers["Idempotency-Key"] = idempotencyKey }
        let request = ClientRequest(
            method, url + path, headers: headers, body: body, deadline: clock.now.advanced(by: timeout))
        do {
            let response = try await http.send(request)
            let bytes = try await response.collect(limit: .gibibytes(1))
            let retryAfter = response.headers["Retry-After"].flatMap { Int($0) }.map { Duration.seconds(min(max($0, 0), 60)) }
            let isJSON = response.headers["Content-Type"]?.contains("json") == true
            return Reply(
                status: response.status,
                body: isJSON && !bytes.isEmpty
                    ? try JSONValue(parsing: bytes) : .string(String(decoding: bytes.prefix(500), as: UTF8.self)),
                retryAfter: retryAfter)
        } catch {
            let cause = error as? ApusError
            throw ApusError(
                .nodeUnreachable, "no answer from \(url): \(cause?.summary ?? "\(error)")",
                hint: "start one with 'apus node --data DIR', or name another with --url or APUS_URL", cause: error)
        }
    }

    /// The node's own error where its body tells the code, else what the status means.
    static func error(_ reply: Reply, _ path: String) -> ApusError {
        let inner = reply.body["error"]
        let message = (inner?["message"] ?? reply.body["message"] ?? inner)?.asString ?? reply.body.asString ?? ""
        let named = (inner?["code"] ?? reply.body["code"] ?? reply.body["error_type"])?.asString.map { ErrorCode(rawValue: $0) }
        let byStatus: ErrorCode =
            switch reply.status {
            case 401: .unauthenticated
            case 403: .forbidden
            case 404: path.hasPrefix("/collections/") ? .collectionUnknown : .routeUnknown
            case 405: .methodNotAllowed
            case 408: .requestTimeout
            case 409: .collectionExists
            case 413: .requestTooLarge
            case 429: .shardBusy
            case 503, 502, 504: .nodeUnready
            case 507: .storeFull
            case 400..<500: .requestInvalid
            default: .internalError
            }
        let code = named.flatMap { ErrorCode.surfaces[$0] == nil ? nil : $0 } ?? byStatus
        // The node's own hint is for who speaks HTTP.
        let hint = code == .unauthenticated ? Self.hint(code) : (inner?["hint"] ?? reply.body["hint"])?.asString ?? Self.hint(code)
        let retry: ApusError.Retry? = reply.retryAfter.map { .after($0) }
        return ApusError(code, message.isEmpty ? "the node answered \(reply.status)" : message, hint: hint, retry: retry)
    }

    private static func hint(_ code: ErrorCode) -> String? {
        switch code {
        case .unauthenticated, .forbidden:
            "make a key with 'apus key create' on the node's own machine, and name its file with --key-file or APUS_KEY_FILE (or put it into APUS_KEY)"
        case .collectionUnknown: "apus collection list"
        case .nodeUnready: "apus status"
        default: nil
        }
    }

    /// One segment of a path, percent-encoded.
    static func segment(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let isUnreserved =
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46, 95, 126].contains(byte)
            result += isUnreserved ? String(UnicodeScalar(byte)) : "%" + hexadecimal([byte]).uppercased()
        }
        return result
    }
}
