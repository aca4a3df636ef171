/// A request as it came: who asks for what is read, the arguments are not yet, because they may be large.
public struct ThunderRequest: Sendable {
    /// Its reply carries the same; chosen by the client.
    public var id: UInt32
    public var command: String
    /// The frame's body, which holds the arguments.
    let body: [UInt8]
    /// Where in the body they begin.
    let start: Int
    /// How many bytes of memory it holds.
    public var size: Int { body.count }

    /// What is wrong with a frame, and whose it is if that can be told.
    public struct Refusal: Error, Hashable {
        public var id: UInt32?
        public var problem: ThunderProblem
    }

    /// Reads a frame's body: `[id, command, [arguments]]`, or as old clients write it `{"id", "command", "args"}`.
    public init(body: [UInt8]) throws(Refusal) {
        var id: UInt32?
        do throws(ThunderProblem) {
            let (command, start) = try body.reading { reader throws(ThunderProblem) in
                switch try reader.token() {
                case .array(let count):
                    guard count > 0 else { throw ThunderProblem("a request is an array of id, command and arguments") }
                    id = try Self.id(&reader)
                    guard count == 3 else { throw ThunderProblem("a request is an array of id, command and arguments") }
                    return (try Self.command(&reader), reader.position)
                case .map(let count): return try Self.members(&reader, count, &id)
                default: throw ThunderProblem("a request is an array of id, command and arguments")
                }
            }
            guard let id else { throw ThunderProblem("a request has an id") }
            self.id = id
            self.command = command
            self.body = body
            self.start = start
        } catch {
            throw Refusal(id: id, problem: error)
        }
    }

    private static func members(
        _ reader: inout MessagePackReader, _ count: Int, _ id: inout UInt32?
    ) throws(ThunderProblem) -> (String, Int) {
        try reader.require(count)
        var command: String?
        var arguments: Int?
        for _ in 0..<count {
            guard case .string(let length) = try reader.token() else { throw ThunderProblem("a request's keys are strings") }
            switch try reader.text(length) {
            case "id": id = try Self.id(&reader)
            case "command": command = try Self.command(&reader)
            case "args":
                arguments = reader.position
                try reader.skipped()
            default: try reader.skipped()
            }
        }
        guard let command, let arguments, id != nil else { throw ThunderProblem("a request has id, command and args") }
        return (command, arguments)
    }

    private static func id(_ reader: inout MessagePackReader) throws(ThunderProblem) -> UInt32 {
        guard case .integer(let number) = try reader.token(), let id = UInt32(exactly: number) else {
            throw ThunderProblem("a request's id is an integer of 32 bits")
        }
        return id
    }

    private static func command(_ reader: inout MessagePackReader) throws(ThunderProblem) -> String {
        guard case .string(let count) = try reader.token(), count <= 128 else {
            throw ThunderProblem("a request's command is a string of at most 128 bytes")
        }
        return try reader.text(count)
    }

    /// Reads the arguments. Takes some 50 ns for each number: a large request should not be read on a loop.
    public func arguments() throws(ThunderProblem) -> [ThunderValue] {
        try body.reading(from: start) { reader throws(ThunderProblem) in
            guard case .array(let count) = try reader.token() else { throw ThunderProblem("a request's arguments are an array") }
            try reader.require(count)
            var arguments: [ThunderValue] = []
            for _ in 0..<count { arguments.append(try ThunderValue(&reader)) }
            return arguments
        }
    }

    /// The id of a request of which only the first bytes are there; nil where they do not tell.
    static func id(ofBeginning bytes: [UInt8]) -> UInt32? {
        bytes.reading { reader -> UInt32? in
            guard case .array = try? reader.next(), case .integer(let number)? = try? reader.next() else { return nil }
            return UInt32(exactly: number)
        }
    }
}

/// A reply, with its frame.
public struct ThunderReply: Sendable, Hashable {
    public var id: UInt32
    public var result: Result

    public enum Result: Sendable, Hashable {
        case ok(ThunderValue)
        /// What the client's `Err` says.
        case failure(String)
    }

    public init(id: UInt32, _ result: Result) {
        self.id = id
        self.result = result
    }

    /// Length and body, ready to be sent; nil when the body is longer than `limit`.
    public func frame(limit: Int) -> [UInt8]? {
        var writer = MessagePackWriter(reserving: 64)
        writer.array(2)
        writer.integer(Int64(id))
        writer.map(1)
        switch result {
        case .ok(let value):
            writer.string("Ok")
            value.write(to: &writer)
        case .failure(let text):
            writer.string("Err")
            writer.string(text)
        }
        guard writer.bytes.count <= limit, let length = UInt32(exactly: writer.bytes.count) else { return nil }
        return withUnsafeBytes(of: length.littleEndian, Array.init) + writer.bytes
    }
}

extension [UInt8] {
    func reading<Value, Failure: Error>(
        from start: Int = 0, _ body: (inout MessagePackReader) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try withUnsafeBytes { bytes -> Result<Value, Failure> in
            var reader = MessagePackReader(bytes, from: start)
            do throws(Failure) { return .success(try body(&reader)) } catch { return .failure(error) }
        }.get()
    }
}
