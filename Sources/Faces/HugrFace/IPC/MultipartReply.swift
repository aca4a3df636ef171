internal import ApusGraphQL
internal import ApusHTTP
internal import ApusQuery
internal import ApusQueryPlan
internal import ApusTypes
internal import Synchronization

/// Writes a reply as `multipart/mixed`, in the form that Hugr's clients read: names of header fields are in exactly this case, and lines end
/// with CR LF.
///
/// What is written waits until there is enough of it to send. So a small reply that fails in its middle is its errors and nothing else; of one
/// that has begun to leave the connection must break, because readers take what ends early for whole.
final class MultipartReply: Sendable {
    private let boundary: String
    private let output: any BodyWriter
    private let state = Mutex(State())

    private struct State {
        var waiting: [UInt8] = []
        var hasParts = false
        var hasSent = false
    }

    /// Bytes that leave together.
    private static let chunk = 64 << 10

    /// A boundary that nobody can know who wrote the values between: 128 random bits.
    static func boundary() -> String {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        return "apus-" + hexadecimal(bytes)
    }

    init(boundary: String, output: any BodyWriter) {
        self.boundary = boundary
        self.output = output
    }

    /// Whether something of the reply has left.
    var hasSent: Bool { state.withLock { $0.hasSent } }

    func tell(_ part: ToldPart) async throws {
        switch part {
        case .json(let path, let bytes, let geometry):
            begin("application/json", "data", "object", path: "data." + path.joined(separator: "."), geometry)
            try await append(bytes + [0x0a])
        case .table(let path, let geometry):
            begin(
                "application/vnd.apache.arrow.stream", "data", "table", path: "data." + path.joined(separator: "."), geometry,
                ("X-Hugr-Table-Info", ""))
        case .piece(let bytes): try await append(bytes)
        case .end: break
        }
    }

    /// Ends the reply with what its parts did not say. Throws when some of it has left and it failed: then nothing can be told any more.
    func finish(_ reply: QueryReply) async throws {
        if reply.outcome != .answered {
            guard !hasSent else { throw ApusError(.sourceUnavailable, "a reply failed after a part of it had been sent: \(reply.errors)") }
            state.withLock { $0 = State() }
            var writer = JSONWriter()
            writer.array { for error in reply.errors { error.write(to: &$0) } }
            begin("application/json", "errors", "object", path: nil)
            try await append(writer.bytes + [0x0a])
        } else if let extensions = reply.extensions {
            begin("application/json", "extensions", "object", path: "extensions")
            try await append(extensions + [0x0a])
        }
        try await append(Array("\r\n--\(boundary)--\r\n".utf8), isLast: true)
    }

    private func begin(
        _ type: String, _ kind: String, _ format: String, path: String?, _ geometry: [GeometryColumn] = [],
        _ other: (name: String, value: String)? = nil
    ) {
        var head = "--\(boundary)\r\nContent-Type: \(type)\r\nX-Hugr-Format: \(format)\r\n"
        if !geometry.isEmpty { head += "X-Hugr-Geometry: true\r\nX-Hugr-Geometry-Fields: \(geometry.header)\r\n" }
        head += "X-Hugr-Part-Type: \(kind)\r\n"
        if let path { head += "X-Hugr-Path: \(path)\r\n" }
        if let other { head += "\(other.name): \(other.value)\r\n" }
        head += "\r\n"
        state.withLock { state in
            state.waiting += Array(((state.hasParts ? "\r\n" : "") + head).utf8)
            state.hasParts = true
        }
    }

    private func append(_ bytes: [UInt8], isLast: Bool = false) async throws {
        let ready: [UInt8] = state.withLock { state in
            if state.waiting.isEmpty { state.waiting = bytes } else { state.waiting += bytes }
            guard isLast || state.waiting.count >= Self.chunk else { return [] }
            state.hasSent = true
            defer { state.waiting = [] }
            return state.waiting
        }
        if !ready.isEmpty { try await output.write(ready) }
    }
}

extension [GeometryColumn] {
    /// Columns with their coordinates and form, as `X-Hugr-Geometry-Fields` has them.
    fileprivate var header: String {
        var writer = JSONWriter()
        writer.object { writer in
            for column in self {
                writer.key(column.path.joined(separator: "."))
                writer.object {
                    $0.key("srid")
                    // Zero would be an error to its readers, nothing is none.
                    $0.string(column.srid == 0 ? "" : String(column.srid))
                    $0.key("format")
                    $0.string(column.format.name)
                }
            }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

extension GeometryColumn.Format {
    fileprivate var name: String {
        switch self {
        case .binary: "WKB"
        case .text: "GeoJSONString"
        case .json: "GeoJSON"
        }
    }
}
