internal import ApusTypes
internal import Glibc

/// Writes status lines and header fields of replies. Framing is the server's: what a handler sets of it is left out.
struct ReplyHead {
    /// How the client finds the end of the body.
    enum Framing {
        /// No body and no length, as 204 and 304 want it.
        case none
        case length(Int)
        case chunked
        /// The end of the connection; for clients of HTTP/1.0.
        case close
        /// 101: what follows is not HTTP.
        case upgrade
    }

    var status: Int
    var framing: Framing
    /// Whether the connection ends after this reply.
    var closes: Bool
    /// Whether a client of HTTP/1.0 asked to keep the connection and must be told that it is.
    var mentionsKeepAlive: Bool
    var requestID: String

    /// Whether a reply of this status has no body (RFC 9110, 6.4.1).
    var hasNoBody: Bool { status == 204 || status == 304 || status < 200 }

    /// Throws `internal` when a field would break out of its line.
    func write(_ headers: Headers, to buffer: ReplyBuffer, date: DateField) throws(ApusError) {
        Self.writeStatusLine(status, to: buffer)
        date.write(to: buffer)
        for (name, value) in headers.fields {
            guard !isFraming(name) else { continue }
            guard Self.isName(name) else { throw Self.broken(name) }
            buffer.append(name)
            buffer.append(": ")
            guard buffer.append(value: value) else { throw Self.broken(name) }
            buffer.append("\r\n")
        }
        buffer.append("X-Request-Id: ")
        buffer.append(requestID)
        switch framing {
        case .none, .close: buffer.append("\r\n")
        case .length(let length):
            buffer.append("\r\nContent-Length: ")
            buffer.append(decimal: length)
            buffer.append("\r\n")
        case .chunked: buffer.append("\r\nTransfer-Encoding: chunked\r\n")
        case .upgrade: buffer.append("\r\nConnection: Upgrade\r\n")
        }
        if closes {
            buffer.append("Connection: close\r\n")
        } else if mentionsKeepAlive {
            buffer.append("Connection: keep-alive\r\n")
        }
        buffer.append("\r\n")
    }

    /// The fields that the server writes itself.
    private func isFraming(_ name: String) -> Bool {
        switch name.utf8.count {
        case 4: Headers.same(name, "Date")
        case 10: Headers.same(name, "Connection")
        case 12: Headers.same(name, "X-Request-Id")
        case 14: Headers.same(name, "Content-Length")
        case 17: Headers.same(name, "Transfer-Encoding")
        default: false
        }
    }

    private static func isName(_ name: String) -> Bool { !name.isEmpty && name.utf8.allSatisfy(ASCII.isToken) }

    private static func broken(_ name: String) -> ApusError {
        ApusError(.internalError, "the reply had a header field that cannot be sent", context: ["field": name])
    }

    private static func writeStatusLine(_ status: Int, to buffer: ReplyBuffer) {
        if status == 200 {
            buffer.append("HTTP/1.1 200 OK\r\n")
        } else {
            buffer.append("HTTP/1.1 ")
            buffer.append(decimal: status)
            buffer.append(" ")
            buffer.append(reason(status))
            buffer.append("\r\n")
        }
    }

    /// Reason phrases are for people; programs read the number.
    private static func reason(_ status: Int) -> StaticString {
        switch status {
        case 101: "Switching Protocols"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 505: "HTTP Version Not Supported"
        case 507: "Insufficient Storage"
        default: status < 400 ? "OK" : "Error"
        }
    }
}

/// The `Date` field, formatted once a second. Belongs to one loop.
final class DateField {
    private var second = time_t(-1)
    private var line: [UInt8] = []

    func write(to buffer: ReplyBuffer) {
        let now = time(nil)
        if now != second {
            second = now
            line = Array("Date: \(HTTPDate.text(secondsSinceEpoch: Int(now)))\r\n".utf8)
        }
        buffer.append(line)
    }
}
