/// The methods that are served. Others are answered 501.
public enum Method: String, Sendable, Hashable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
    case options = "OPTIONS"

    /// Methods are case-sensitive (RFC 9110, 9.1).
    init?(reading name: UnsafeRawBufferPointer) {
        // The two that matter for speed, without a comparison of strings.
        if name.count == 3, name[0] == UInt8(ascii: "G"), name[1] == UInt8(ascii: "E"), name[2] == UInt8(ascii: "T") {
            self = .get
        } else if name.count == 4, name[0] == UInt8(ascii: "P"), name[1] == UInt8(ascii: "O"), name[2] == UInt8(ascii: "S"),
            name[3] == UInt8(ascii: "T")
        {
            self = .post
        } else {
            self.init(rawValue: String(decoding: name, as: UTF8.self))
        }
    }
}
