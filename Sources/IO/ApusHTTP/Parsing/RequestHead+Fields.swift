internal import ApusTypes

/// Reads a complete head, stricter than RFC 9112 allows wherever two programs on one path could read it differently.
///
/// llhttp reads the same bytes afterwards and frames the body; `MessageFraming` refuses a request about which the two disagree.
extension RequestHead {
    /// `bytes` is a head with its empty line; `HeadEnd` has seen that its lines end in CR LF.
    init(reading bytes: UnsafeRawBufferPointer, requestLine: Int, limits: HTTPLimits) throws(ApusError) {
        self.init()
        var fields = FramingFields()
        let target = try readRequestLine(UnsafeRawBufferPointer(rebasing: bytes[..<requestLine]))
        var list: [(name: String, value: String)] = []
        list.reserveCapacity(8)
        var line = requestLine + 2
        let end = bytes.count - 2
        while line < end {
            guard list.count < limits.headerCount else {
                throw ApusError(.requestHeadTooLarge, "the request has more than \(limits.headerCount) header fields")
            }
            var cursor = line
            while ASCII.isToken(bytes[cursor]) { cursor += 1 }  // CR is no token, so this ends within the line
            guard bytes[cursor] == UInt8(ascii: ":") else { throw Self.wrongName(bytes[cursor], isFirst: cursor == line) }
            guard cursor > line else { throw .malformed("a header field has no name") }
            let name = UnsafeRawBufferPointer(rebasing: bytes[line..<cursor])
            cursor += 1
            while ASCII.isBlank(bytes[cursor]) { cursor += 1 }
            let start = cursor
            while bytes[cursor] != 13 {
                guard !ASCII.isControl(bytes[cursor]) else { throw .malformed("a header field holds a control character") }
                cursor += 1
            }
            line = cursor + 2
            while cursor > start, ASCII.isBlank(bytes[cursor - 1]) { cursor -= 1 }
            let value = UnsafeRawBufferPointer(rebasing: bytes[start..<cursor])
            try fields.note(name, value, &self)
            list.append((String(decoding: name, as: UTF8.self), ASCII.text(value)))
        }
        headers = Headers(list)
        try fields.settle(&self, target, limits)
    }

    private static func wrongName(_ byte: UInt8, isFirst: Bool) -> ApusError {
        switch byte {
        case 32, 9: .malformed(isFirst ? "a header field is folded over lines" : "there is a space in or after a header field's name")
        case 13: .malformed("a header field has no colon")
        default: .malformed("a header field's name holds a character that is not allowed")
        }
    }

    /// Reads `METHOD SP target SP HTTP/1.x` and returns the target.
    private mutating func readRequestLine(_ line: UnsafeRawBufferPointer) throws(ApusError) -> UnsafeRawBufferPointer {
        guard let methodEnd = line.firstIndex(of: 32), methodEnd > 0, line[..<methodEnd].allSatisfy(ASCII.isToken) else {
            throw .malformed("the request line has no method")
        }
        let rest = methodEnd + 1
        guard let targetEnd = line[rest...].firstIndex(of: 32), targetEnd > rest else {
            throw .malformed("the request line has no version")
        }
        let version = UnsafeRawBufferPointer(rebasing: line[(targetEnd + 1)...])
        guard version.count == 8, version.starts(with: "HTTP/".utf8), version[6] == UInt8(ascii: "."),
            ASCII.isDigit(version[5]), ASCII.isDigit(version[7])
        else { throw .malformed("the request line does not end in a version") }
        guard version[5] == UInt8(ascii: "1"), version[7] <= UInt8(ascii: "1") else {
            throw ApusError(.requestVersion, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        }
        minorVersion = Int(version[7] - UInt8(ascii: "0"))
        keepsAlive = minorVersion == 1
        let name = UnsafeRawBufferPointer(rebasing: line[..<methodEnd])
        guard let method = Method(reading: name) else {
            throw ApusError(.methodUnknown, "the method \(ASCII.text(name).prefix(32)) is not known here")
        }
        self.method = method
        return UnsafeRawBufferPointer(rebasing: line[rest..<targetEnd])
    }
}

/// The fields that decide framing, routing and the connection, noted while the head is read and judged at its end.
private struct FramingFields {
    private var host: UnsafeRawBufferPointer?
    private var length: Int?
    private var isChunked = false
    private var saysKeepAlive = false
    private var saysClose = false

    mutating func note(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ head: inout RequestHead) throws(ApusError) {
        switch name.count {
        case 4 where ASCII.same(name, "host"):
            guard host == nil else { throw .malformed("there are two Host fields") }
            host = value
        case 6 where ASCII.same(name, "expect"):
            guard ASCII.same(value, "100-continue") else {
                throw ApusError(.requestExpectation, "the only expectation that can be met is 100-continue")
            }
            head.expectsContinue = true
        case 10 where ASCII.same(name, "connection"):
            noteConnection(value)
        case 12 where ASCII.same(name, "x-request-id"):
            head.requestID = ASCII.saneIdentifier(value)
        case 14 where ASCII.same(name, "content-length"):
            guard length == nil else { throw .malformed("there are two Content-Length fields") }
            length = try Self.size(value)
        case 17 where ASCII.same(name, "transfer-encoding"):
            guard !isChunked else { throw .malformed("there are two Transfer-Encoding fields") }
            guard ASCII.same(value, "chunked") else {
                throw .malformed("the only Transfer-Encoding that is read is 'chunked'")
            }
            isChunked = true
        default: break
        }
    }

    func settle(_ head: inout RequestHead, _ target: UnsafeRawBufferPointer, _ limits: HTTPLimits) throws(ApusError) {
        guard host != nil || head.minorVersion == 0 else { throw .malformed("there is no Host field") }
        if let host, !RequestTarget.isAuthority(host) { throw .malformed("the Host field does not name a host") }
        head.target = try RequestTarget(reading: target, method: head.method, host: host, limits: limits)
        if isChunked {
            guard length == nil else { throw .malformed("there are both Content-Length and Transfer-Encoding") }
            guard head.minorVersion == 1 else { throw .malformed("HTTP/1.0 has no Transfer-Encoding") }
            head.framing = .chunked
        } else if let length {
            head.framing = .length(length)
        }
        if head.minorVersion == 0 {
            head.keepsAlive = saysKeepAlive && !saysClose
            head.expectsContinue = false  // RFC 9110, 10.1.1: a 1.0 client cannot mean it
        } else {
            head.keepsAlive = !saysClose
        }
    }

    /// Digits and nothing else: no sign, no list, no more than fits.
    private static func size(_ value: UnsafeRawBufferPointer) throws(ApusError) -> Int {
        guard !value.isEmpty, value.count <= 18, value.allSatisfy(ASCII.isDigit) else {
            throw .malformed("the Content-Length is not a number")
        }
        return value.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }

    private mutating func noteConnection(_ value: UnsafeRawBufferPointer) {
        if ASCII.same(value, "keep-alive") {
            saysKeepAlive = true
        } else {
            for option in ASCII.text(value).split(separator: ",") {
                let option = option.drop { $0 == " " || $0 == "\t" }.lowercased()
                if option.hasPrefix("close") { saysClose = true }
                if option.hasPrefix("keep-alive") { saysKeepAlive = true }
            }
        }
    }
}
