internal import ApusTypes
internal import CHiredis

/// What a Redis server answers to one command.
enum RedisReply: Sendable, Hashable {
    case status(String)
    case error(String)
    case integer(Int64)
    case bytes([UInt8])
    case list([RedisReply])
    case nothing

    init(_ reply: redisReply) {
        let bytes = UnsafeRawBufferPointer(start: reply.str, count: reply.len)
        switch reply.type {
        case REDIS_REPLY_STRING: self = .bytes(Array(bytes))
        case REDIS_REPLY_STATUS: self = .status(String(decoding: bytes, as: UTF8.self))
        case REDIS_REPLY_ERROR: self = .error(String(decoding: bytes, as: UTF8.self))
        case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
        case REDIS_REPLY_ARRAY: self = .list((0..<reply.elements).map { RedisReply(reply.element[$0]!.pointee) })  // hiredis fills them all
        default: self = .nothing
        }
    }

    var text: String? {
        switch self {
        case .status(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        default: nil
        }
    }

    var list: [RedisReply] { if case .list(let all) = self { all } else { [] } }
    var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    var error: String? { if case .error(let text) = self { text } else { nil } }
}

/// A command and its arguments, as bytes.
struct RedisCommand: Sendable {
    var words: [[UInt8]]

    init(_ words: String...) { self.words = words.map { Array($0.utf8) } }

    static func set(_ name: String, _ bytes: [UInt8], for lifetime: Duration) -> RedisCommand {
        var command = RedisCommand("SET", name, "", "PX", "\(max(1, lifetime.milliseconds))")
        command.words[2] = bytes
        return command
    }
}
