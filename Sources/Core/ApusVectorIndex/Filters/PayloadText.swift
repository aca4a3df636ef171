/// The texts in payloads, for searches by words.
public struct PayloadText: Sendable {
    private let path: PayloadPath

    /// `member`: as a filter names it.
    public init(member: String) { path = PayloadPath(member) }

    /// Calls `body` with the UTF-8 of the first string there; not at all if there is none.
    public func read(_ payload: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
        payload.withUnsafeBytes { payload in
            _ = PayloadScanner.values(at: path, in: payload) { value in
                guard value.count >= 2, value.first == UInt8(ascii: "\"") else { return false }
                let raw = UnsafeRawBufferPointer(rebasing: value[1..<value.count - 1])
                if raw.contains(UInt8(ascii: "\\")) {
                    PayloadScanner.unescaped(raw).withUnsafeBytes(body)
                } else {
                    body(raw)
                }
                return true
            }
        }
    }
}
