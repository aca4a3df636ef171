import ApusTypes
import Testing

@testable import ApusThunder

/// Frames as a client makes them, and replies as it reads them.
enum Thunder {
    static func frame(_ body: [UInt8]) -> [UInt8] { withUnsafeBytes(of: UInt32(body.count).littleEndian, Array.init) + body }

    static func body(_ id: UInt32, _ command: String, _ arguments: [ThunderValue] = []) -> [UInt8] {
        var writer = MessagePackWriter(reserving: 64)
        writer.array(3)
        writer.integer(Int64(id))
        writer.string(command)
        writer.array(arguments.count)
        for argument in arguments { argument.write(to: &writer) }
        return writer.bytes
    }

    static func request(_ id: UInt32, _ command: String, _ arguments: ThunderValue...) -> [UInt8] {
        frame(body(id, command, arguments))
    }

    static func reply(_ frame: [UInt8]) throws -> ThunderReply {
        try #require(frame.count >= 4)
        return try frame.reading(from: 4) { reader in
            guard case .array(2) = try reader.token(), case .integer(let id) = try reader.token(), case .map(1) = try reader.token(),
                case .string(let count) = try reader.token()
            else { throw ThunderProblem("no reply") }
            if try reader.text(count) == "Ok" { return ThunderReply(id: UInt32(id), .ok(try ThunderValue(&reader))) }
            guard case .string(let count) = try reader.token() else { throw ThunderProblem("no reply") }
            return ThunderReply(id: UInt32(id), .failure(try reader.text(count)))
        }
    }

    static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { !$0.isWhitespace }
        return stride(from: 0, to: digits.count, by: 2).map { offset in
            let start = digits.index(digits.startIndex, offsetBy: offset)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16) ?? 0
        }
    }
}
