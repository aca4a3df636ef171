public import ApusTypes

/// A host and a port that can be written into a configuration file.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// A numeric address without brackets, or a name, which a balancer looks up once, when it reads the file.
    public let host: String
    public let port: Int

    /// Throws `config.invalid` for what is no host or port: nodes say their addresses themselves, and one must not be able to write
    /// directives into a balancer's configuration.
    public init(host: String, port: Int) throws(ApusError) {
        guard !host.isEmpty, host.utf8.allSatisfy({ isLetterOrDigit($0) || ".:-_".utf8.contains($0) }), (1...65_535).contains(port) else {
            throw ApusError(
                .configurationInvalid, "a balancer cannot be given the address '\(host):\(port)'",
                hint: "give the node a url with a host name or a numeric address, and a port")
        }
        self.host = host
        self.port = port
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A node as a balancer sees it.
public struct Upstream: Sendable, Hashable {
    /// From best to worst.
    public enum State: String, Sendable, Hashable, CaseIterable {
        case ready
        /// One of its two signals fails: it is given nothing while a ready one can serve.
        case suspect
        /// It finishes what it has. Asked only where nobody is ready or suspect, because an answer is better than none.
        case draining
        /// Gone, as far as anybody knows; asked when nobody else is there, because that may be a mistake.
        case down
        /// Has left for good, or was never a worker: never asked.
        case left
    }

    public var node: NodeName
    public var endpoint: Endpoint
    public var state: State

    public init(node: NodeName, endpoint: Endpoint, state: State = .ready) {
        self.node = node
        self.endpoint = endpoint
        self.state = state
    }
}

/// `text` as a name that both balancers take: what is neither a letter, a digit nor `-` becomes `_`.
func identifier(_ text: String) -> String {
    String(decoding: text.utf8.map { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
}

func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
}
