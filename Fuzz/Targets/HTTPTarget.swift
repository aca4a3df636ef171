import ApusTypes

@testable import ApusHTTP

/// A connection's bytes are the same requests however they are cut into reads: what the server's parser keeps between two reads
/// decides nothing. The first byte says how to cut.
func fuzzHTTP(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    let whole = requests(bytes, piece: max(1, bytes.count))
    let cut = requests(bytes, piece: Int(first % 17) + 1)
    guard whole == cut else { fatalError("whole: \(whole)\ncut: \(cut)") }
}

/// Each request's head and body, then `refused` when the stream cannot be read on. The same steps as the server's connection.
private func requests(_ bytes: [UInt8], piece: Int) -> [String] {
    let limits = HTTPLimits.standard
    let framing = MessageFraming(limits: limits)
    var seen: [String] = []
    var head = HeadEnd()
    var body: [UInt8]?
    var buffer: [UInt8] = []
    var rest = bytes[...]
    do {
        while !rest.isEmpty {
            buffer += rest.prefix(piece)
            rest = rest.dropFirst(piece)
            while !buffer.isEmpty {
                if body == nil {
                    guard let end = try buffer.withUnsafeBytes({ try head.find(in: $0, limits: limits) }), let line = head.requestLine
                    else { break }
                    head = HeadEnd()
                    let hasBody = try buffer.withUnsafeBytes { raw in
                        let bytes = UnsafeRawBufferPointer(rebasing: raw[..<end])
                        let request = try RequestHead(reading: bytes, requestLine: line, limits: limits)
                        seen.append(
                            "\(request.method) \(request.target.path) \(request.target.query.items) \(request.framing) \(request.headers.fields)"
                        )
                        return try framing.begin(bytes, head: request)
                    }
                    buffer.removeFirst(end)
                    if hasBody { body = [] }
                } else {
                    let progress = try buffer.withUnsafeBytes { try framing.feed($0) }
                    body? += framing.take()
                    switch progress {
                    case .more: buffer = []
                    case .complete(let used):
                        buffer.removeFirst(used)
                        seen.append("\(body ?? [])")
                        body = nil
                    }
                }
            }
        }
    } catch {
        seen.append("refused")
    }
    return seen
}

/// The same for the client's side of the wire.
func fuzzResponse(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    func read(piece: Int) -> String {
        let parser = ResponseParser(headLimit: .kibibytes(64))
        parser.begin(first & 0x80 == 0 ? .get : .head)
        var body: [UInt8] = []
        var rest = bytes[...]
        do {
            while !rest.isEmpty, !parser.isComplete {
                try parser.feed(Array(rest.prefix(piece)))
                body += parser.take()
                rest = rest.dropFirst(piece)
            }
            try parser.finish()
        } catch {
            return "refused"
        }
        return "\(parser.head?.status ?? 0) \(parser.head?.headers.fields ?? []) \(body)"
    }
    let whole = read(piece: max(1, bytes.count))
    let cut = read(piece: Int(first % 17) + 1)
    guard whole == cut else { fatalError("whole: \(whole)\ncut: \(cut)") }
}
