public import ApusTypes

/// What a balancer's configuration is rendered from. The text depends on nothing else: the same value gives the same bytes, on any machine
/// and day, so a file is written and the balancer reloaded only when something has changed.
public struct LoadBalancer: Sendable, Hashable {
    public let frontends: [Frontend]
    public let timings: LoadBalancerTimings

    /// What the balancers put before their id of a request, which is the `Idempotency-Key` of a write that came without one: so that a node
    /// can tell it from a client's key and forget it sooner.
    public static let proxyKeyPrefix = ProxyKey.prefix
    /// Bodies of so many digits are given time: a call with one is not interactive. (nginx cannot compare numbers.)
    static let digitsOfLargeBody = 7

    /// Throws `config.invalid` where two frontends have one name or one address.
    public init(frontends: [Frontend], timings: LoadBalancerTimings = LoadBalancerTimings()) throws(ApusError) {
        for (what, values) in [("name", frontends.map(\.identifier)), ("address", frontends.map(\.listen.description))]
        where Set(values).count != values.count {
            throw ApusError(
                .configurationInvalid, "two frontends of the balancer have one \(what): \(values.joined(separator: ", "))",
                hint: "give each a name and an address of its own")
        }
        self.frontends = frontends
        self.timings = timings
    }
}

/// What a balancer says itself when no node has answered, in the shape of the nodes' errors.
struct BalancerError {
    var status: Int
    var code: String
    var message: String
    var hint: String
    var isTransient: Bool { status > 500 }

    static let unreachable = BalancerError(
        status: 503, code: "balancer.no_node", message: "no node can be reached", hint: "nothing was done: repeat the request")
    static let broken = BalancerError(status: 502, code: "balancer.broken", message: "no node answered", hint: inDoubt)
    static let late = BalancerError(status: 504, code: "balancer.timeout", message: "no node answered in time", hint: inDoubt)
    static let tooLarge = BalancerError(
        status: 413, code: "request.too_large", message: "the body is larger than the nodes accept", hint: "send it in parts")
    private static let inDoubt = "a write may have been done: repeat it with its Idempotency-Key, or look first"

    /// `requestID` is the balancer's variable for it.
    func json(requestID: String) -> String {
        """
        {"error_type":"\(code.replacing(".", with: "_"))","message":"\(message)","status_code":\(status),"code":"\(code)",\
        "hint":"\(hint)","request_id":"\(requestID)"}
        """
    }
}
