/// One address that the server listens on, and what answers there.
public struct ListenerConfiguration: Sendable {
    /// Names the listener in logs, metrics and `ConnectionFacts.listener`; unique in a server.
    public var name: String
    /// A numeric IPv4 or IPv6 address, or a host name of this machine.
    public var host: String
    /// 0 takes any free port; `HTTPServer.start()` says which.
    public var port: Int
    /// Nil serves plain HTTP.
    public var tls: TLSFiles?
    public var router: Router

    public init(name: String, host: String, port: Int, tls: TLSFiles? = nil, router: Router) {
        self.name = name
        self.host = host
        self.port = port
        self.tls = tls
        self.router = router
    }
}

/// Where a listener's certificate and key lie. Both are PEM files and are read again when they change.
public struct TLSFiles: Sendable, Hashable {
    /// The server's certificate, followed by its intermediates.
    public var certificateChain: String
    public var privateKey: String
    /// How often the files are looked at.
    public var checkInterval: Duration

    public init(certificateChain: String, privateKey: String, checkInterval: Duration = .seconds(5)) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.checkInterval = checkInterval
    }
}

/// A listener that is open.
public struct BoundListener: Sendable, Hashable {
    public var name: String
    public var host: String
    /// The real port, also when 0 was asked for.
    public var port: Int
    public var isTLS: Bool
}
