/// One reply as it came over the wire, its body decoded.
public struct RawReply: Sendable {
    public var status: Int
    public var fields: [(name: String, value: String)]
    public var body: [UInt8]

    public var text: String { String(decoding: body, as: UTF8.self) }

    public subscript(name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }

    public var closes: Bool { self["Connection"]?.lowercased() == "close" }
}

/// Reads replies from a client's stream, one after the other.
public final class ReplyReader {
    public let client: RawClient
    private var buffer: [UInt8] = []
    /// Where what was not read yet begins.
    private var start = 0

    public init(_ client: RawClient) { self.client = client }

    /// The next reply. `toHead`: it answers HEAD and has no body, whatever its length says. Interim replies (1xx) have none either.
    public func next(toHead: Bool = false) async throws -> RawReply {
        let head = try await line(endingWith: "\r\n\r\n")
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
        let parts = lines[0].split(separator: " ", maxSplits: 2)
        guard parts.count >= 2, parts[0] == "HTTP/1.1", let status = Int(parts[1]) else { throw RawClientError.malformed(lines[0]) }
        let fields = try lines.dropFirst().filter { !$0.isEmpty }.map { line in
            guard let colon = line.firstIndex(of: ":") else { throw RawClientError.malformed(line) }
            return (name: String(line[..<colon]), value: String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        var reply = RawReply(status: status, fields: fields, body: [])
        if toHead || status < 200 || status == 204 || status == 304 { return reply }
        if reply["Transfer-Encoding"] == "chunked" {
            while true {
                let size = try await line(endingWith: "\r\n")
                guard let count = Int(size, radix: 16) else { throw RawClientError.malformed("chunk size \(size)") }
                let chunk = try await take(count + 2)
                guard chunk.suffix(2) == [13, 10] else { throw RawClientError.malformed("chunk end") }
                if count == 0 { return reply }
                reply.body += chunk.dropLast(2)
            }
        } else if let length = reply["Content-Length"] {
            guard let count = Int(length) else { throw RawClientError.malformed("Content-Length: \(length)") }
            reply.body = try await take(count)
        } else {
            while try await fill() {}
            reply.body = Array(buffer[start...])
            start = buffer.count
        }
        return reply
    }

    /// Whether the stream ends here.
    public func isAtEnd() async throws -> Bool {
        guard start == buffer.count else { return false }
        return try await client.isClosed()
    }

    private func line(endingWith end: String) async throws -> String {
        let end = Array(end.utf8)
        while true {
            if buffer.count >= start + end.count,
                let found = (start...(buffer.count - end.count)).first(where: { buffer[$0...].starts(with: end) })
            {
                defer { start = found + end.count }
                return String(decoding: buffer[start..<found], as: UTF8.self)
            }
            guard try await fill() else {
                throw RawClientError.malformed("the stream ended in '\(String(decoding: buffer[start...], as: UTF8.self))'")
            }
        }
    }

    private func take(_ count: Int) async throws -> [UInt8] {
        while buffer.count < start + count {
            guard try await fill() else { throw RawClientError.malformed("the stream ended before its body's \(count) bytes") }
        }
        defer { start += count }
        return Array(buffer[start..<(start + count)])
    }

    private func fill() async throws -> Bool {
        buffer.removeFirst(start)
        start = 0
        let bytes = try await client.receive()
        buffer += bytes
        return !bytes.isEmpty
    }
}
