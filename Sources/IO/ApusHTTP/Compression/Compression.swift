public import ApusTypes
internal import Synchronization

/// Compresses text with gzip for clients that ask for it.
///
/// A stream is flushed at each of its writes, so that events arrive when they are sent. Ranges, encoded bodies and pictures stay as
/// they are. Bodies that mix a secret with a client's own text should say `Cache-Control: no-transform` (BREACH, 2013).
public struct Compression: Middleware {
    /// Smaller bodies are not worth it.
    public var minimumSize: ByteCount

    public init(minimumSize: ByteCount = ByteCount(1400)) { self.minimumSize = minimumSize }

    public func handle(_ request: Request, next: Handler) async throws -> Response {
        var response = try await next(request).prepared(for: request)
        guard response.status == 200 else { return response }
        // Most replies are small: that is the first question.
        let isLarge =
            switch response.body {
            case .bytes(let bytes): bytes.count >= minimumSize.bytes
            case .stream: response.headers["Content-Length"].flatMap { Int($0) }.map { $0 >= minimumSize.bytes } ?? true
            case .none, .file, .webSocket, .upgrade: false
            }
        guard isLarge, let type = response.headers["Content-Type"], Self.isCompressible(type),
            response.headers["Content-Encoding"] == nil, response.headers["Content-Range"] == nil,
            !HeaderList.contains("no-transform", in: response.headers.all("Cache-Control"))
        else { return response }
        response.vary(by: "Accept-Encoding")
        guard AcceptEncoding(request.headers.all("Accept-Encoding")).prefersGzip else { return response }
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = nil
        response.headers["Accept-Ranges"] = nil
        // The bytes are no longer those that a strong tag stands for.
        if let tag = response.headers["ETag"], !tag.hasPrefix("W/") { response.headers["ETag"] = "W/" + tag }
        switch response.body {
        case .bytes(let bytes) where bytes.count <= Self.piece:
            response.body = .bytes(Gzip().compress(bytes, .finish))
        case .bytes(let bytes):
            response.body = .stream { writer in
                let writer = GzipWriter(writer)
                for start in stride(from: 0, to: bytes.count, by: Self.piece) {
                    try await writer.write(bytes[start..<min(start + Self.piece, bytes.count)], .no)
                    await Task.yield()  // other requests of this loop come first
                }
                try await writer.write([], .finish)
            }
        case .stream(let body):
            response.body = .stream { writer in
                let writer = GzipWriter(writer)
                try await body(writer)
                try await writer.write([], .finish)
            }
        case .none, .file, .webSocket, .upgrade: break
        }
        return response
    }

    private static let piece = 65_536

    static func isCompressible(_ contentType: String) -> Bool {
        let type = contentType.prefix { $0 != ";" && $0 != " " }.lowercased()
        if type.hasPrefix("text/") || type.hasSuffix("+json") || type.hasSuffix("+xml") { return true }
        return ["application/json", "application/x-ndjson", "application/javascript", "application/xml", "application/graphql"].contains(
            type)
    }
}

/// Compresses what is written, and sends each piece at once.
private final class GzipWriter: BodyWriter {
    private let next: any BodyWriter
    private let gzip: Mutex<Gzip>

    init(_ next: any BodyWriter) {
        self.next = next
        gzip = Mutex(Gzip())
    }

    func write(_ bytes: [UInt8]) async throws { try await write(bytes[...], .all) }

    func write(_ bytes: ArraySlice<UInt8>, _ flush: Gzip.Flush) async throws {
        let compressed = gzip.withLock { $0.compress(bytes, flush) }
        if !compressed.isEmpty { try await next.write(compressed) }
    }
}
