public import ApusSockets
public import Glibc

/// The one exemption from credentials: the node's own user, or root, asking from the node's own machine by itself.
///
/// Redis's protected mode, made safe for HTTP. That the peer is on this machine proves little: a reverse proxy, a browser that was sent a
/// foreign page, a rebound DNS name and any other local user are on it too. So the owner of the peer's socket must be right, its process
/// must serve nobody else (a bare proxy of the node's own user shows in no header), and nothing in the request may show that somebody
/// else is speaking through it.
///
/// The same machine is not loopback alone: whoever asks a node under its own address, as from 192.168.1.10 to 192.168.1.10, has a socket
/// in this machine's tables too, which a remote peer has not.
public struct LocalTrust: Sendable {
    /// False ends the exemption (`auth.loopback`).
    public var isEnabled: Bool
    /// The effective user of this process.
    public var nodeUser: UInt32
    /// The host of the URL that the operator gave the node, in lower case.
    private let nodeHost: String?
    private let examine: @Sendable (PeerSocket) async throws -> PeerProcess

    /// `nodeURL` is under which others know the node (`node.url`). `examine` tells of a peer's process; nil asks the system.
    public init(
        isEnabled: Bool, nodeUser: UInt32 = geteuid(), nodeURL: String? = nil,
        examine: (@Sendable (PeerSocket) async throws -> PeerProcess)? = nil
    ) {
        self.isEnabled = isEnabled
        self.nodeUser = nodeUser
        nodeHost = nodeURL.flatMap { try? ClientURL($0).origin.host }  // the configuration has checked it; without it, no name is added
        self.examine = examine ?? { try await PeerProcesses.shared.process(of: $0) }
    }

    /// Why a request without credentials is not served; the text completes "a key is needed, because …".
    public enum Refusal: Sendable, Hashable, CustomStringConvertible {
        case disabled
        case remote
        case foreignUser(UInt32?)
        case server(name: String)
        case hiddenProcess
        case foreignHost
        case foreignOrigin
        case forwarded(header: String)

        public var description: String {
            switch self {
            case .disabled: "auth.loopback is false"
            case .remote: "the request does not come from this machine"
            case .foreignUser(.some(let user)): "its sender is user \(user), neither the node's own user nor root"
            case .foreignUser(nil): "the system does not tell which user sent it"
            case .server(let name): "its sender (\(name)) takes connections itself and may speak for others"
            case .hiddenProcess: "the node may not see which program sent it: only programs of the node's own user can do without"
            case .foreignHost: "its Host is neither a loopback name nor the address that it was sent to"
            case .foreignOrigin: "it was made by a web page of another origin"
            case .forwarded(let header): "it was forwarded (\(header))"
            }
        }
    }

    /// Nil when the request may do everything. The process is asked for last: it costs most, about once a second for a connection.
    ///
    /// Throws `deadline.exceeded` when the system does not tell in time.
    public func refusal(for request: Request) async throws -> Refusal? {
        guard isEnabled else { return .disabled }
        // The kernel knows the owner of exactly this connection's other end, if that is a socket of this machine.
        let peer = await request.connection.peerSocket()
        if peer == nil, !request.connection.isLoopback { return .remote }
        if let header = request.headers.fields.first(where: { Self.tellsOfForwarding($0.name.lowercased()) }) {
            return .forwarded(header: header.name)
        }
        let hosts = request.headers.all("Host")
        guard hosts.count == 1, isOwnName(hosts[0], request.connection) else { return .foreignHost }
        guard Self.isOwnOrigin(request, host: hosts[0]) else { return .foreignOrigin }
        return try await refusal(of: peer)
    }

    /// The part of the rule that is about the peer itself, for protocols in which nothing tells more about it.
    public func refusal(of peer: PeerSocket?) async throws -> Refusal? {
        guard isEnabled else { return .disabled }
        guard let peer, peer.user == nodeUser || peer.user == 0 else { return .foreignUser(peer?.user) }
        switch try await examine(peer) {
        case .client: return nil
        case .server(let name): return .server(name: name)
        case .hidden: return .hiddenProcess
        }
    }

    /// Headers that proxies add, and only they.
    private static func tellsOfForwarding(_ name: String) -> Bool {
        name.hasPrefix("x-forwarded") || name.hasPrefix("x-envoy-") || name.hasPrefix("cf-") || forwardingHeaders.contains(name)
    }

    private static let forwardingHeaders: Set = [
        "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-original-forwarded-for", "x-original-host",
        "x-original-url",
        "x-rewrite-url", "x-proxyuser-ip", "x-remote-ip", "x-remote-addr", "true-client-ip", "fastly-client-ip", "client-ip",
    ]

    /// A name that no other machine's DNS can answer for: a loopback name over loopback, else the literal address that the request was sent
    /// to, which on the same machine is also the one that it comes from. Or the name that the operator gave the node.
    private func isOwnName(_ host: String, _ connection: ConnectionFacts) -> Bool {
        if connection.isLoopback, Self.isLoopbackName(host) { return true }
        guard let name = Self.name(in: host.lowercased()) else { return false }
        let bare = name.hasPrefix("[") ? String(name.dropFirst().dropLast()) : name
        if bare == nodeHost { return true }
        return !connection.isLoopback && NumericAddress(host: bare, port: 0)?.host == connection.peerAddress
    }

    /// `localhost`, `127.x.x.x` or `[::1]`, with or without a port: a name that another machine's DNS cannot answer for.
    static func isLoopbackName(_ host: String) -> Bool {
        guard let name = Self.name(in: host.lowercased()) else { return false }
        if name == "localhost" || name == "[::1]" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { UInt8($0) != nil && $0.utf8.allSatisfy { (48...57).contains($0) } }
    }

    /// `host[:port]` without the port; an IPv6 address keeps its brackets. Nil for what is no host.
    private static func name(in host: String) -> String? {
        var end = host.firstIndex(of: ":") ?? host.endIndex
        if host.hasPrefix("[") {
            guard let bracket = host.firstIndex(of: "]") else { return nil }
            end = host.index(after: bracket)
        }
        return isPort(host[end...]) ? String(host[..<end]) : nil
    }

    /// Nothing, or a colon and digits.
    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty || (text.first == ":" && text.dropFirst().utf8.allSatisfy { (48...57).contains($0) })
    }

    /// No browser speaks here for a page of another origin. (`null` is another origin; a browser that sends no Origin with a GET still
    /// says `Sec-Fetch-Site`.)
    private static func isOwnOrigin(_ request: Request, host: String) -> Bool {
        let own = (request.connection.isTLS ? "https://" : "http://") + host.lowercased()
        guard request.headers.all("Origin").allSatisfy({ $0.lowercased() == own }) else { return false }
        return request.headers.all("Sec-Fetch-Site").allSatisfy { ["same-origin", "none"].contains($0.lowercased()) }
    }
}
