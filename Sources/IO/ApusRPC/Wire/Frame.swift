internal import ApusTypes

/// One frame of `apus.v1.Node/Exchange`; `node.proto` says what each means.
enum Frame: Sendable {
    case challenge(Introduction)
    case proof(Introduction, code: [UInt8])
    case welcome(code: [UInt8])
    case request(Request)
    case reply(id: UInt64, payload: [UInt8])
    case failure(id: UInt64, ApusError)
    case cancel(id: UInt64)

    /// What a node says of itself before anything else.
    struct Introduction: Sendable, Hashable {
        var node: NodeName
        var nonce: [UInt8]
        var oldestVersion: UInt32
        var newestVersion: UInt32
    }

    struct Request: Sendable {
        var id: UInt64
        var method: String
        var deadline: Instant
        var trace: String
        var payload: [UInt8]
    }
}

// MARK: Writing

extension Frame {
    /// The frame as a `Frames` message of its own. Such messages one after the other are one message with all the frames.
    func encoded(at now: Instant) -> Outgoing {
        var fields = ProtobufWriter()
        let kind: Int
        var payload: [UInt8] = []
        switch self {
        case .challenge(let introduction):
            kind = 1
            introduction.write(to: &fields)
        case .proof(let introduction, let code):
            kind = 2
            introduction.write(to: &fields)
            fields.data(5, code)
        case .welcome(let code):
            kind = 3
            fields.data(1, code)
        case .request(let request):
            kind = 4
            fields.integer(1, request.id)
            fields.string(2, request.method)
            fields.integer(3, UInt32(clamping: max(1, now.duration(to: request.deadline).milliseconds)))
            fields.string(4, request.trace)
            fields.data(5, count: request.payload.count)
            payload = request.payload
        case .reply(let id, let bytes):
            kind = 5
            fields.integer(1, id)
            fields.data(2, count: bytes.count)
            payload = bytes
        case .failure(let id, let error):
            kind = 6
            fields.integer(1, id)
            error.write(to: &fields)
        case .cancel(let id):
            kind = 7
            fields.integer(1, id)
        }
        var frame = ProtobufWriter()
        frame.data(kind, count: fields.bytes.count + payload.count)
        var head = ProtobufWriter()
        head.data(1, count: frame.bytes.count + fields.bytes.count + payload.count)
        return Outgoing(head: head.bytes + frame.bytes + fields.bytes, payload: payload)
    }
}

extension Frame.Introduction {
    func write(to writer: inout ProtobufWriter) {
        writer.string(1, node.rawValue)
        writer.data(2, nonce)
        writer.integer(3, oldestVersion)
        writer.integer(4, newestVersion)
    }
}

extension ApusError {
    fileprivate func write(to writer: inout ProtobufWriter) {
        writer.string(2, code.rawValue)
        writer.string(3, summary)
        writer.string(4, hint ?? "")
        switch retry {
        case .never: break
        case .immediately: writer.present(5, 0)
        case .after(let time): writer.present(5, UInt32(clamping: time.milliseconds))
        }
        for (key, value) in context {
            writer.message(6) {
                $0.string(1, key)
                $0.string(2, value)
            }
        }
    }
}

// MARK: Reading

extension Frame {
    /// More than what `Outgoing.batch` bytes hold of the shortest.
    private static let limit = 65536

    /// The frames of one message. Throws `protocol.invalid`, also for more frames than a node would send: in memory they are many times as
    /// large.
    static func decode(_ message: UnsafeRawBufferPointer, at now: Instant) throws(ApusError) -> [Frame] {
        var frames: [Frame] = []
        var reader = ProtobufReader(message)
        while let field = try reader.next() {
            var kinds = ProtobufReader(field.number == 1 ? field.bytes : UnsafeRawBufferPointer(start: nil, count: 0))
            while let kind = try kinds.next() {
                guard frames.count < limit else { throw ApusError(.protocolInvalid, "more frames than a message may have") }
                frames.append(try Frame(kind.number, kind.bytes, at: now))
            }
        }
        return frames
    }

    private init(_ kind: Int, _ message: UnsafeRawBufferPointer, at now: Instant) throws(ApusError) {
        switch kind {
        case 1: self = .challenge(try Introduction(message))
        case 2: self = .proof(try Introduction(message), code: try message.field(5).data)
        case 3: self = .welcome(code: try message.field(1).data)
        case 4:
            self = .request(
                Request(
                    id: try message.field(1).integer, method: try message.field(2).string,
                    deadline: now.advanced(by: .milliseconds(try message.field(3).integer32)),
                    trace: try message.field(4).string, payload: try message.field(5).data))
        case 5: self = .reply(id: try message.field(1).integer, payload: try message.field(2).data)
        case 6: self = .failure(id: try message.field(1).integer, try ApusError(message))
        case 7: self = .cancel(id: try message.field(1).integer)
        default: throw ApusError(.protocolInvalid, "a frame of the unknown kind \(kind)")
        }
    }
}

extension Frame.Introduction {
    fileprivate init(_ message: UnsafeRawBufferPointer) throws(ApusError) {
        node = NodeName(try message.field(1).string)
        nonce = try message.field(2).data
        oldestVersion = try message.field(3).integer32
        newestVersion = try message.field(4).integer32
    }
}

extension ApusError {
    fileprivate init(_ message: UnsafeRawBufferPointer) throws(ApusError) {
        let wait = try message.field(5)
        let hint = try message.field(4).string
        self.init(
            ErrorCode(rawValue: try message.field(2).string), try message.field(3).string, hint: hint.isEmpty ? nil : hint,
            retry: wait.number == 0 ? .never : wait.integer32 == 0 ? .immediately : .after(.milliseconds(wait.integer32)))
        for entry in try message.fields(6) { context[try entry.bytes.field(1).string] = try entry.bytes.field(2).string }
    }
}
