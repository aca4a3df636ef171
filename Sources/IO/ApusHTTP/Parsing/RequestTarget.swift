internal import ApusTypes

/// What a request is about: path and query of its target.
///
/// Nothing is normalised: a `.` or `..` segment is refused, an empty one is kept, and `%2F` stays inside its segment, so that this
/// server and a proxy in front of it cannot mean two different resources.
struct RequestTarget {
    var rawPath = "/"
    /// Decoded segments; empty for `/`, and `["*"]` for the asterisk form.
    var path: [String] = []
    var query = Query()

    init() {}

    /// Origin form, absolute form (whose authority must be `host`), or `*` for OPTIONS.
    init(
        reading target: UnsafeRawBufferPointer, method: Method, host: UnsafeRawBufferPointer?, limits: HTTPLimits
    ) throws(ApusError) {
        for byte in target {
            guard byte > 32, byte < 127, byte != UInt8(ascii: "#") else {
                throw .malformed("the request target holds a character that is not allowed")
            }
        }
        if target[0] == UInt8(ascii: "/") {
            try read(target, limits)
        } else if target.count == 1, target[0] == UInt8(ascii: "*"), method == .options {
            rawPath = "*"
            path = ["*"]
        } else {
            try readAbsolute(target, host, limits)
        }
    }

    private mutating func readAbsolute(
        _ target: UnsafeRawBufferPointer, _ host: UnsafeRawBufferPointer?, _ limits: HTTPLimits
    ) throws(ApusError) {
        let start =
            if target.count > 7, ASCII.same(UnsafeRawBufferPointer(rebasing: target[..<7]), "http://") {
                7
            } else if target.count > 8, ASCII.same(UnsafeRawBufferPointer(rebasing: target[..<8]), "https://") {
                8
            } else {
                throw ApusError.malformed("the request target is neither a path nor an http URL")
            }
        let end = target[start...].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? target.count
        let authority = UnsafeRawBufferPointer(rebasing: target[start..<end])
        guard Self.isAuthority(authority) else { throw .malformed("the request target does not name a host") }
        if let host {
            guard host.count == authority.count, zip(host, authority).allSatisfy({ ASCII.lowered($0) == ASCII.lowered($1) }) else {
                throw .malformed("the request target and the Host field name different hosts")
            }
        }
        guard end < target.count, target[end] == UInt8(ascii: "/") else {
            guard end == target.count else { throw .malformed("the request target has a query without a path") }
            return
        }
        try read(UnsafeRawBufferPointer(rebasing: target[end...]), limits)
    }

    /// Reads `/path?query`.
    private mutating func read(_ target: UnsafeRawBufferPointer, _ limits: HTTPLimits) throws(ApusError) {
        let end = target.firstIndex(of: UInt8(ascii: "?")) ?? target.count
        rawPath = String(decoding: UnsafeRawBufferPointer(rebasing: target[..<end]), as: UTF8.self)
        if end > 1 {
            var start = 1
            for index in 1...end where index == end || target[index] == UInt8(ascii: "/") {
                guard path.count < limits.pathSegments else {
                    throw ApusError(.requestLineTooLong, "the path has more than \(limits.pathSegments) segments")
                }
                let segment = try Self.decoded(UnsafeRawBufferPointer(rebasing: target[start..<index]), isQuery: false)
                guard segment != ".", segment != ".." else { throw .malformed("the path holds a '\(segment)' segment") }
                path.append(segment)
                start = index + 1
            }
        }
        if end < target.count { query = try Self.query(UnsafeRawBufferPointer(rebasing: target[(end + 1)...]), limits) }
    }

    private static func query(_ bytes: UnsafeRawBufferPointer, _ limits: HTTPLimits) throws(ApusError) -> Query {
        var items: [(name: String, value: String)] = []
        for item in bytes.split(separator: UInt8(ascii: "&")) {
            guard items.count < limits.queryItems else {
                throw ApusError(.requestLineTooLong, "the query has more than \(limits.queryItems) items")
            }
            let equals = item.firstIndex(of: UInt8(ascii: "=")) ?? item.endIndex
            let name = try decoded(UnsafeRawBufferPointer(rebasing: item[..<equals]), isQuery: true)
            let value = try decoded(UnsafeRawBufferPointer(rebasing: item[equals...].dropFirst()), isQuery: true)
            items.append((name, value))
        }
        return Query(items)
    }

    /// Percent-decodes; in a query `+` is a space. Refuses broken escapes, NUL, and what is not UTF-8 afterwards.
    private static func decoded(_ bytes: UnsafeRawBufferPointer, isQuery: Bool) throws(ApusError) -> String {
        guard bytes.contains(where: { $0 == UInt8(ascii: "%") || (isQuery && $0 == UInt8(ascii: "+")) }) else {
            return String(decoding: bytes, as: UTF8.self)
        }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "%"):
                guard index + 2 < bytes.count, let high = ASCII.hexadecimal(bytes[index + 1]),
                    let low = ASCII.hexadecimal(bytes[index + 2])
                else { throw .malformed("the request target holds a broken percent escape") }
                guard high | low != 0 else { throw .malformed("the request target holds an encoded NUL") }
                decoded.append(high << 4 | low)
                index += 2
            case UInt8(ascii: "+") where isQuery: decoded.append(32)
            case let byte: decoded.append(byte)
            }
            index += 1
        }
        guard let text = String(validating: decoded, as: UTF8.self) else {
            throw .malformed("the request target is not UTF-8 once decoded")
        }
        return text
    }

    /// Whether `bytes` can be a host with an optional port: no user, no path, no list.
    static func isAuthority(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard !bytes.isEmpty, bytes.count <= 259 else { return false }  // 253 of a name, colon, 5 of a port
        for byte in bytes {
            switch byte {
            case 48...57, 65...90, 97...122: continue
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"),
                UInt8(ascii: "~"):
                continue
            default: return false
            }
        }
        return true
    }
}
