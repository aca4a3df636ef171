import ApusTypes
import TestKit
import Testing

@testable import ApusDatabase

/// PostgreSQL's protocol without a server.
@Suite("PostgreSQL's protocol")
struct ProtocolTests {
    private static func message(_ kind: Unicode.Scalar, _ body: [UInt8]) -> [UInt8] {
        [UInt8(ascii: kind)] + withUnsafeBytes(of: Int32(body.count + 4).bigEndian) { Array($0) } + body
    }

    private static func row(_ columns: [[UInt8]?]) -> [UInt8] {
        columns.reduce(into: withUnsafeBytes(of: Int16(columns.count).bigEndian) { Array($0) }) { bytes, column in
            bytes += withUnsafeBytes(of: Int32(column?.count ?? -1).bigEndian) { Array($0) }
            bytes += column ?? []
        }
    }

    /// What is told of messages that come in pieces of these sizes.
    private static func read(_ bytes: [UInt8], pieces: () -> Int, limit: Int = 1 << 20) throws -> [String] {
        var messages = BackendMessages(limit: limit)
        var told: [String] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            _ = messages.receive { space in
                let piece = rest.prefix(min(pieces(), space.count))
                space.copyBytes(from: piece)
                rest = rest.dropFirst(piece.count)
                return piece.count
            }
            while let message = try messages.next() {
                told.append("\(Unicode.Scalar(message.kind)) \(message.isTooLong ? "cut" : "\(Array(message.body).hashValue)")")
            }
        }
        return told
    }

    @Test("messages are the same however they are cut, and long ones leave their neighbours alone")
    func pieces() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            var bytes: [UInt8] = []
            var expected: [String] = []
            for _ in 0..<20 {
                let size =
                    Bool.random(using: &random) ? Int.random(in: 0...40, using: &random) : Int.random(in: 0...100_000, using: &random)
                let body = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
                bytes += Self.message("D", body)
                expected.append("D \(size + 4 > 60_000 ? "cut" : "\(body.hashValue)")")
            }
            let most = [1, 7, 1000, 70_000].randomElement(using: &random) ?? 1
            if most == 1, bytes.count > 200_000 { continue }
            let told = try Self.read(bytes, pieces: { Int.random(in: 1...most, using: &random) }, limit: 60_000)
            #expect(told == expected)
        }
    }

    @Test("a length that no message has ends the connection")
    func malformed() {
        for length: Int32 in [0, 3, -1, .min] {
            let bytes = [UInt8(ascii: "D")] + withUnsafeBytes(of: length.bigEndian) { Array($0) } + [0, 0, 0, 0]
            #expect(throws: BackendMessages.Malformed.self) { try Self.read(bytes, pieces: { 100 }) }
        }
    }

    @Test("rows give back what was put into them, and nothing but rows is taken for one")
    func rows() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<2000 {
            let columns: [[UInt8]?] = (0..<Int.random(in: 0...5, using: &random)).map { _ in
                switch Int.random(in: 0...3, using: &random) {
                case 0: nil
                case 1: []
                default: (0..<Int.random(in: 1...30, using: &random)).map { _ in UInt8.random(in: 32...126, using: &random) }
                }
            }
            var bytes = Self.row(columns)
            var builder = ResultBuilder()
            #expect(bytes.withUnsafeBytes { builder.add($0) })
            _ = Array("SELECT 1\0".utf8).withUnsafeBytes { builder.end($0) }
            let result = builder.take()
            #expect(result.texts == [columns.map { $0.map { String(decoding: $0, as: UTF8.self) } }])
            #expect(result.command == "SELECT 1" && result.changed == 1)
            // Whatever is done to it, nothing is read beyond it.
            for _ in 0..<5 {
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes.removeLast(min(bytes.count, Int.random(in: 1...4, using: &random)))
                case 1: bytes.append(.random(in: 0...255, using: &random))
                default: if let place = bytes.indices.randomElement(using: &random) { bytes[place] = .random(in: 0...255, using: &random) }
                }
                var other = ResultBuilder()
                if bytes.withUnsafeBytes({ other.add($0) }) { #expect(other.take().texts.count == 1) }
            }
        }
        var builder = ResultBuilder()
        #expect(Self.row([[1]]).withUnsafeBytes { builder.add($0) })
        #expect(Self.row([[1], [2]]).withUnsafeBytes { !builder.add($0) })
    }
}
