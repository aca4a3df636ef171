import ApusHTTP
import ApusTypes

/// A form is the same parts however its bytes are cut. Its boundary is `X`; the first byte says how to cut.
func fuzzMultipart(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    let whole = parts(bytes, piece: max(1, bytes.count))
    let cut = parts(bytes, piece: Int(first % 17) + 1)
    guard whole == cut else { fatalError("whole: \(whole)\ncut: \(cut)") }
}

/// Each complete part, then whether the form was.
private func parts(_ bytes: [UInt8], piece: Int) -> [String] {
    guard var parser = try? MultipartParser(boundary: "X") else { fatalError("the boundary is right") }
    var parts: [String] = []
    var head = ""
    var body: [UInt8] = []
    func drain() throws {
        while let event = try parser.next() {
            switch event {
            case .begin(let part): (head, body) = ("\(part.name) \(part.fileName ?? "-") \(part.contentType)", [])
            case .bytes(let bytes): body += bytes
            case .end: parts.append("\(head) \(body)")
            }
        }
    }
    do {
        var rest = bytes[...]
        while !rest.isEmpty {
            parser.feed(Array(rest.prefix(piece)))
            rest = rest.dropFirst(piece)
            try drain()
        }
        parser.finish()
        try drain()
        parts.append("whole")
    } catch {
        parts.append("refused")
    }
    return parts
}
