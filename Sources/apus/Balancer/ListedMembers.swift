internal import ApusConfig
internal import ApusRender
internal import ApusTypes

/// The members of a cluster as a node lists them (`GET /api/nodes`), for a balancer.
enum ListedMembers {
    /// Throws `peer.invalid_response` for what is no list of nodes: a balancer must not be told that there is nobody because of it.
    static func upstreams(_ reply: JSONValue) throws(ApusError) -> [Upstream] {
        guard let nodes = reply["nodes"]?.asArray, !nodes.isEmpty else {
            throw ApusError(.peerInvalid, "the node lists no members", hint: "is it an apus of this version?")
        }
        return try nodes.map(upstream)
    }

    /// Of those that have left, too: they may be back before anybody else is.
    static func urls(_ reply: JSONValue) -> [String] { (reply["nodes"]?.asArray ?? []).compactMap { $0["url"]?.asString } }

    private static func upstream(_ node: JSONValue) throws(ApusError) -> Upstream {
        guard let name = node["name"]?.asString, let url = node["url"]?.asString,
            let authority = url.split(separator: "/").dropFirst().first, let address = SocketAddress(String(authority))
        else { throw ApusError(.peerInvalid, "the node's list of members cannot be read", hint: "is it an apus of this version?") }
        let isWorker = node["roles"]?.asArray?.contains("worker") ?? true
        let state: Upstream.State =
            switch node["status"]?.asString {
            case _ where !isWorker: .left
            case "active", "joining": .ready
            case "suspect": .suspect
            case "draining", "removing": .draining
            case "left": .left
            default: .down
            }
        return Upstream(node: NodeName(name), endpoint: try Endpoint(host: address.host, port: address.port), state: state)
    }
}
