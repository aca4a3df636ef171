import ApusTypes

@testable import ApusHTTP

/// A WebSocket's bytes are the same messages however they are cut, and a message that was read is written and read again as the same.
/// The first byte says how to cut, and which side reads.
func fuzzWebSocket(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    let side: WebSocketSide = first & 0x80 == 0 ? .server : .client
    let whole = events(bytes, side, piece: max(1, bytes.count))
    let cut = events(bytes, side, piece: Int(first % 17) + 1)
    guard whole.events == cut.events, whole.code == cut.code else { fatalError("whole: \(whole)\ncut: \(cut)") }
    for case .message(let message) in whole.events {
        let written =
            switch message {
            case .text(let text): serializedWebSocketFrame(.text, text.utf8, mask: [9, 8, 7, 6])
            case .binary(let bytes): serializedWebSocketFrame(.binary, bytes, mask: [9, 8, 7, 6])
            }
        guard events(written, .server, piece: 5).events == [.message(message)] else { fatalError("\(message) changed") }
    }
}

private func events(_ bytes: [UInt8], _ side: WebSocketSide, piece: Int) -> (events: [WebSocketReader.Event], code: UInt16?) {
    var reader = WebSocketReader(side: side, limit: .kibibytes(256))
    var events: [WebSocketReader.Event] = []
    var rest = bytes[...]
    do throws(WebSocketClose) {
        while !rest.isEmpty {
            reader.feed(Array(rest.prefix(piece)))
            rest = rest.dropFirst(piece)
            while let event = try reader.next() { events.append(event) }
        }
        return (events, nil)
    } catch {
        return (events, error.code)
    }
}
