public import ApusTypes
internal import COpenSSL

/// The opening handshake of RFC 6455, both sides' arithmetic.
public enum WebSocketHandshake {
    /// The header fields of the server's `101` to this request: `Upgrade`, `Connection`, `Sec-WebSocket-Accept`, and
    /// `Sec-WebSocket-Protocol` when the handler chose one of those offered.
    ///
    /// Throws `request.upgrade_required` (426) when the request is no WebSocket's, `request.invalid` when it is a wrong one. A
    /// client that sends `Sec-WebSocket-Key` twice is answered by its first: some do, and their first is the one they check.
    public static func answer(method: Method, headers: Headers, subprotocol: String? = nil) throws(ApusError) -> Headers {
        guard method == .get, HeaderList.contains("websocket", in: headers.all("Upgrade")),
            HeaderList.contains("upgrade", in: headers.all("Connection"))
        else {
            throw ApusError(
                .upgradeRequired, "this address speaks WebSocket only",
                hint: "send GET with 'Connection: Upgrade' and 'Upgrade: websocket'")
        }
        guard headers["Sec-WebSocket-Version"] == "13" else {
            throw ApusError(
                .upgradeRequired, "this version of WebSocket is not spoken here", hint: "use 13",
                context: ["sec-websocket-version": "13"])
        }
        guard let key = headers["Sec-WebSocket-Key"], isKey(key) else {
            throw ApusError(.requestInvalid, "Sec-WebSocket-Key must be 16 bytes in base64", context: ["field": "Sec-WebSocket-Key"])
        }
        var answer: Headers = ["Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept(forKey: key)]
        if let subprotocol {
            let offered = HeaderList.elements(of: headers.all("Sec-WebSocket-Protocol"))
            guard offered.contains(subprotocol) else {
                throw ApusError(
                    .requestInvalid, "the client does not offer the subprotocol that this address speaks",
                    hint: "offer '\(subprotocol)' in Sec-WebSocket-Protocol")
            }
            answer.add("Sec-WebSocket-Protocol", subprotocol)
        }
        return answer
    }

    /// base64(SHA-1(key ‖ the protocol's GUID)), RFC 6455 section 4.2.2.
    public static func accept(forKey key: String) -> String {
        let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: 20)
        SHA1(text, text.count, &digest)
        var encoded = [UInt8](repeating: 0, count: 29)  // 28 characters and a NUL
        EVP_EncodeBlock(&encoded, digest, 20)
        return String(decoding: encoded.dropLast(), as: UTF8.self)
    }

    /// 16 bytes are 22 characters of base64 and `==`.
    private static func isKey(_ key: String) -> Bool {
        key.utf8.count == 24 && key.hasSuffix("==")
            && key.utf8.dropLast(2).allSatisfy {
                switch $0 {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "+"), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
    }
}
