public import Glibc

/// The one exemption from credentials: the node's own user, or root, asking from the node's own machine by itself.
///
/// Redis's protected mode, made safe for HTTP. That the peer is on loopback proves little: a reverse proxy, a browser that was sent a
/// foreign page, a rebound DNS name and any other local user are on loopback too. So the owner of the peer's socket must be right, and
/// nothing in the request may show that somebody else is speaking through it.
public struct LocalTrust: Sendable {
    /// False ends the exemption (`auth.loopback`).
    public var isEnabled: Bool
    /// The effective user of this process.
    public var nodeUser: UInt32

    public init(isEnabled: Bool, nodeUser: UInt32 = geteuid()) {
        self.isEnabled = isEnabled
        self.nodeUser = nodeUser
    }

    /// Why a request without credentials is not served; the text completes "a key is needed, because …".
    public enum Refusal: Sendable, Hashable, CustomStringConvertible {
        case disabled
        case remote
        case foreignUser(UInt32?)
        case foreignHost
        case foreignOrigin
        case forwarded(header: String)

        public var description: String {
            switch self {
            case .disabled: "auth.loopback is false"
            case .remote: "the request does not come over loopback"
            case .foreignUser(.some(let user)): "its sender is user \(user), neither the node's own user nor root"
            case .foreignUser(nil): "the system does not tell which user sent it"
            case .foreignHost: "its Host is not a loopback name"
            case .foreignOrigin: "it was made by a web page of another origin"
            case .forwarded(let header): "it was forwarded (\(header))"
            }
        }
    }

    /// Nil when the request may do everything. What costs least is asked first; the socket's owner is asked of the kernel.
    public func refusal(for request: Request) async -> Refusal? {
        guard isEnabled else { return .disabled }
        guard request.connection.isLoopback else { return .remote }
        if let header = request.headers.fields.first(where: { Self.tellsOfForwarding($0.name.lowercased()) }) {
            return .forwarded(header: header.name)
        }
        let hosts = request.headers.all("Host")
        guard hosts.count == 1, Self.isLoopbackName(hosts[0]) else { return .foreignHost }
        guard Self.isOwnOrigin(request, host: hosts[0]) else { return .foreignOrigin }
        let user = await request.connection.peerUser()
        guard let user, user == nodeUser || user == 0 else { return .foreignUser(user) }
        return nil
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

    /// `localhost`, `127.x.x.x` or `[::1]`, with or without a port: a name that another machine's DNS cannot answer for.
    static func isLoopbackName(_ host: String) -> Bool {
        let lowered = host.lowercased()
        let name: Substring
        if lowered.hasPrefix("[") {
            guard let end = lowered.firstIndex(of: "]"), isPort(lowered[lowered.index(after: end)...]) else { return false }
            name = lowered[...end]
        } else {
            let end = lowered.firstIndex(of: ":") ?? lowered.endIndex
            guard isPort(lowered[end...]) else { return false }
            name = lowered[..<end]
        }
        if name == "localhost" || name == "[::1]" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { UInt8($0) != nil && $0.utf8.allSatisfy { (48...57).contains($0) } }
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
