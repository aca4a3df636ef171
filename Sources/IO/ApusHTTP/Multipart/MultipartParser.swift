public import ApusTypes
internal import CLinux

/// Bounds of one form. The size of the whole is the server's limit for bodies.
public struct MultipartLimits: Sendable, Hashable {
    /// Parts of one form.
    public var parts = 1000
    /// Bytes of one part's body, nil for no bound but the form's.
    public var partSize: ByteCount?
    /// All header fields of one part.
    public var partHead: ByteCount = .kibibytes(8)
    public var partHeaderCount = 16
    /// Text before the first boundary; it has no meaning and is read past.
    public var preamble: ByteCount = .kibibytes(4)

    public init() {}
}

/// Header fields of one part, checked.
public struct MultipartHead: Sendable {
    /// The field of the form that it fills.
    public var name: String
    /// What the client calls the file, without any directories; nil for a plain field. Never a path to write to as it is.
    public var fileName: String?
    /// `text/plain` when the client does not say (RFC 7578, 4.4).
    public var contentType: String
    public var headers: Headers
}

/// Takes `multipart/form-data` (RFC 7578, RFC 2046 section 5.1) apart as its bytes arrive.
///
/// It holds what may be the beginning of a boundary or of a part's head, never a part. Where RFC 2046 leaves a reader a choice, it
/// refuses: text behind a boundary, a part without a name, lines that end in a bare LF.
public struct MultipartParser: Sendable {
    public enum Event: Sendable {
        case begin(MultipartHead)
        case bytes([UInt8])
        case end
    }

    private static let headEnd: [UInt8] = [13, 10, 13, 10]

    private enum State { case preamble, delimiter, head, body, epilogue }

    private let limits: MultipartLimits
    /// CR LF, two dashes and the boundary.
    private let delimiter: [UInt8]
    private var state = State.preamble
    /// Bytes from `position` on are not taken yet. A CR LF in front makes the first boundary look like all others.
    private var buffer: [UInt8] = [13, 10]
    private var position = 0
    private var parts = 0
    private var partName = ""
    private var partBytes = 0
    private var preambleBytes = 0
    private var hasEnded = false

    /// `boundary` is 1-70 characters, as RFC 2046 allows.
    public init(boundary: String, limits: MultipartLimits = MultipartLimits()) throws(ApusError) {
        let bytes = Array(boundary.utf8)
        guard (1...70).contains(bytes.count), bytes.last != 32, bytes.allSatisfy(Self.isBoundaryCharacter) else {
            throw ApusError(.requestInvalid, "the boundary of the form is not valid", context: ["field": "Content-Type"])
        }
        delimiter = [13, 10, 45, 45] + bytes
        self.limits = limits
    }

    /// A parser for a request of this `Content-Type`; `request.media_type` (415) when it is not a form's.
    public init(contentType: String?, limits: MultipartLimits = MultipartLimits()) throws(ApusError) {
        guard let contentType, let (type, parameters) = HeaderList.parameters(of: contentType), type.lowercased() == "multipart/form-data"
        else {
            throw ApusError(.requestMediaType, "a form is expected here", hint: "send Content-Type: multipart/form-data; boundary=…")
        }
        let boundaries = parameters.filter { $0.name == "boundary" }
        guard boundaries.count == 1 else {
            throw ApusError(.requestInvalid, "the form must name exactly one boundary", context: ["field": "Content-Type"])
        }
        try self.init(boundary: boundaries[0].value, limits: limits)
    }

    /// Whether the closing boundary was seen: what follows means nothing.
    public var isComplete: Bool { state == .epilogue }

    /// Adds bytes; ask for events until there are none before the next call.
    public mutating func feed(_ bytes: [UInt8]) {
        guard state != .epilogue else { return }
        if position > 0 {
            buffer.removeFirst(position)
            position = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// No more bytes will come; `next()` then throws when the form is incomplete.
    public mutating func finish() { hasEnded = true }

    /// The next event, nil when more bytes are needed or the form is complete.
    public mutating func next() throws(ApusError) -> Event? {
        while true {
            switch state {
            case .preamble:
                let skipped = bodyEnd()
                preambleBytes += skipped.count
                position += skipped.count
                guard preambleBytes <= limits.preamble.bytes else { throw wrong("the text before the first part is too long") }
                guard skipped.isFollowedByDelimiter else { return try starved("it has no boundary") }
                position += delimiter.count
                state = .delimiter
            case .delimiter:
                guard try readDelimiterEnd() else { return nil }
            case .head:
                guard let head = try readHead() else { return try starved("it ends within a part's header fields") }
                state = .body
                partBytes = 0
                return .begin(head)
            case .body:
                let piece = bodyEnd()
                if piece.count > 0 {
                    partBytes += piece.count
                    if let limit = limits.partSize, partBytes > limit.bytes {
                        throw ApusError(.requestTooLarge, "\(part) is larger than \(limit)", context: ["field": partName])
                    }
                    defer { position += piece.count }
                    return .bytes(Array(buffer[position..<(position + piece.count)]))
                }
                guard piece.isFollowedByDelimiter else { return try starved("it ends within \(part)") }
                position += delimiter.count
                state = .delimiter
                return .end
            case .epilogue:
                return nil
            }
        }
    }

    // MARK: Pieces

    /// How many bytes from `position` on are certainly body, and whether the delimiter follows them.
    private func bodyEnd() -> (count: Int, isFollowedByDelimiter: Bool) {
        buffer.withUnsafeBytes { all in
            let bytes = UnsafeRawBufferPointer(rebasing: all[position...])
            guard let start = bytes.baseAddress else { return (0, false) }
            if let found = apus_find(start, bytes.count, delimiter, delimiter.count) { return (found - start, true) }
            // What could be the beginning of a delimiter waits for more.
            var tail = max(0, bytes.count - delimiter.count + 1)
            while tail < bytes.count, !delimiter.starts(with: bytes[tail...]) { tail += 1 }
            return (tail, false)
        }
    }

    /// Reads what follows a delimiter: `--` for the last one, else blanks and a line end. False when more bytes are needed.
    private mutating func readDelimiterEnd() throws(ApusError) -> Bool {
        var cursor = position
        var isLast = false
        if buffer[cursor...].starts(with: [45, 45]) {
            isLast = true
            cursor += 2
        } else if !hasEnded, buffer.count - cursor < 2 {
            return false
        }
        while cursor < buffer.count, ASCII.isBlank(buffer[cursor]) { cursor += 1 }
        guard cursor - position <= 128 else { throw wrong("there is too much behind a boundary") }
        if isLast, cursor == buffer.count, hasEnded {
            // The closing boundary may end the body without a line end.
        } else {
            guard buffer.count - cursor >= 2 || hasEnded else { return false }
            guard buffer[cursor...].starts(with: [13, 10]) else { throw wrong("there is text behind a boundary") }
            cursor += 2
        }
        if isLast {
            state = .epilogue
            buffer = []
            position = 0
            return true
        }
        parts += 1
        partName = ""
        guard parts <= limits.parts else { throw ApusError(.requestTooLarge, "the form has more than \(limits.parts) parts") }
        position = cursor
        state = .head
        return true
    }

    /// Reads a part's header fields up to their empty line; nil when more bytes are needed.
    private mutating func readHead() throws(ApusError) -> MultipartHead? {
        let rest = buffer[position...]
        var end: Int?
        if rest.starts(with: [13, 10]) {
            end = position
        } else {
            end = rest.withUnsafeBytes { bytes in
                apus_find(bytes.baseAddress, bytes.count, Self.headEnd, 4).map { $0 - bytes.baseAddress! }  // found within it
            }.map { $0 + position + 2 }
        }
        guard (end ?? buffer.count) - position <= limits.partHead.bytes else {
            throw ApusError(.requestTooLarge, "the header fields of \(part) are larger than \(limits.partHead)")
        }
        guard let end else { return nil }
        let head = try parseHead(buffer[position..<end])
        position = end + 2
        return head
    }

    private mutating func parseHead(_ bytes: ArraySlice<UInt8>) throws(ApusError) -> MultipartHead {
        var headers = Headers()
        var rest = bytes
        while !rest.isEmpty {
            // Every line of a head ends in CR LF, because the head was cut behind one.
            guard let end = rest.firstIndex(of: 13), end + 1 < rest.endIndex, rest[end + 1] == 10 else {
                throw wrong("a line of \(part)'s header fields does not end in CR LF")
            }
            let line = rest[rest.startIndex..<end]
            rest = rest[(end + 2)...]
            guard headers.fields.count < limits.partHeaderCount else {
                throw ApusError(.requestTooLarge, "\(part) has more than \(limits.partHeaderCount) header fields")
            }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex, line[..<colon].allSatisfy(ASCII.isToken),
                !line.contains(where: ASCII.isControl),
                let value = String(validating: HeaderList.trimmed(line[(colon + 1)...]), as: UTF8.self)
            else { throw wrong("a header field of \(part) is not valid") }
            headers.add(String(decoding: line[..<colon], as: UTF8.self), value)
        }
        let dispositions = headers.all("Content-Disposition")
        guard dispositions.count == 1, let (kind, parameters) = HeaderList.parameters(of: dispositions[0]), kind.lowercased() == "form-data"
        else { throw wrong("\(part) needs exactly one 'Content-Disposition: form-data'") }
        func parameter(_ name: String) throws(ApusError) -> String? {
            let values = parameters.filter { $0.name == name }
            guard values.count <= 1 else { throw wrong("\(part) gives '\(name)' twice") }
            return values.first?.value
        }
        guard let name = try parameter("name") else { throw wrong("\(part) has no name") }
        partName = name
        let path = try parameter("filename")
        let fileName = path.map { String($0.split(omittingEmptySubsequences: false) { "/\\".contains($0) }.last ?? "") }
        return MultipartHead(name: name, fileName: fileName, contentType: headers["Content-Type"] ?? "text/plain", headers: headers)
    }

    // MARK: Errors

    /// The part being read, for people: by its name once that is known.
    private var part: String { partName.isEmpty ? "part \(parts)" : "part \(parts) ('\(partName.prefix(64))')" }

    private func wrong(_ problem: String) -> ApusError {
        ApusError(.requestUnparsable, "this is not a valid form: \(problem)", context: partName.isEmpty ? [:] : ["field": partName])
    }

    private func starved(_ problem: String) throws(ApusError) -> Event? {
        if hasEnded { throw wrong(problem) }
        return nil
    }

    private static func isBoundaryCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122: true
        default: "'()+_,-./:=? ".utf8.contains(byte)
        }
    }
}
