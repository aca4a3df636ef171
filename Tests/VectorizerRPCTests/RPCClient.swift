import ApusTypes
import HTTPTestKit
import NodeTestKit
import Testing

@testable import ApusThunder

/// A client of the binary protocol that sends what it is told to, one call after the other or many at once.
final class RPCClient: Sendable {
    let raw: RawClient

    init(_ node: TestNode, receiveBuffer: Int32? = nil) throws {
        raw = try RawClient(port: node.rpcPort, receiveBuffer: receiveBuffer)
    }

    /// A client of another process's node.
    init(port: Int) throws { raw = try RawClient(port: port) }

    static func frame(_ id: UInt32, _ command: String, _ arguments: [ThunderValue]) -> [UInt8] {
        var writer = MessagePackWriter(reserving: 64)
        writer.array(3)
        writer.integer(Int64(id))
        writer.string(command)
        writer.array(arguments.count)
        for argument in arguments { argument.write(to: &writer) }
        return framed(writer.bytes)
    }

    static func framed(_ body: [UInt8]) -> [UInt8] { withUnsafeBytes(of: UInt32(body.count).littleEndian, Array.init) + body }

    func send(_ id: UInt32, _ command: String, _ arguments: ThunderValue...) async throws {
        try await raw.send(Self.frame(id, command, arguments))
    }

    /// The next reply; nil at the end of the connection.
    func next() async throws -> ThunderReply? {
        var head: [UInt8] = []
        while head.count < 4 {
            let bytes = try await raw.receive(atMost: 4 - head.count)
            if bytes.isEmpty { return nil }
            head += bytes
        }
        let length = (0..<4).reduce(0) { $0 | Int(head[$1]) << (8 * $1) }
        var body: [UInt8] = []
        while body.count < length {
            let bytes = try await raw.receive(atMost: min(1 << 20, length - body.count))
            try #require(!bytes.isEmpty)
            body += bytes
        }
        return try body.reading { reader in
            guard case .array(2) = try reader.token(), case .integer(let id) = try reader.token(), case .map(1) = try reader.token(),
                case .string(let count) = try reader.token()
            else { throw ThunderProblem("no reply") }
            if try reader.text(count) == "Ok" { return ThunderReply(id: UInt32(id), .ok(try ThunderValue(&reader))) }
            guard case .string(let count) = try reader.token() else { throw ThunderProblem("no reply") }
            return ThunderReply(id: UInt32(id), .failure(try reader.text(count)))
        }
    }

    /// One call by itself.
    func call(_ command: String, _ arguments: ThunderValue...) async throws -> ThunderReply.Result {
        try await call(command, arguments: arguments)
    }

    func call(_ command: String, arguments: [ThunderValue]) async throws -> ThunderReply.Result {
        try await raw.send(Self.frame(1, command, arguments))
        let reply = try #require(try await next())
        #expect(reply.id == 1)
        return reply.result
    }

    func value(_ command: String, _ arguments: ThunderValue...) async throws -> ThunderValue {
        try await raw.send(Self.frame(1, command, arguments))
        guard case .ok(let value)? = try await next()?.result else { throw ThunderProblem("\(command) failed") }
        return value
    }

    func failure(_ command: String, _ arguments: ThunderValue...) async throws -> String {
        try await raw.send(Self.frame(1, command, arguments))
        guard case .failure(let text)? = try await next()?.result else { throw ThunderProblem("\(command) did not fail") }
        return text
    }
}

extension ThunderValue {
    static func vector(_ numbers: Double...) -> ThunderValue { .array(numbers.map { .float($0) }) }

    /// A collection of this dimension.
    static func dimension(_ dimension: Int, _ metric: String = "cosine") -> ThunderValue {
        .map(["dimension": .int(dimension), "metric": .string(metric)])
    }
}
