internal import ApusRuntime
public import ApusTypes

/// A request as a face hands it over.
public struct QueryRequest: Sendable {
    public var text: [UInt8]
    /// As the client gave them.
    public var variables: JSONObject = [:]
    /// Needed where the text has several operations.
    public var operationName: String?
    public var mutations = Mutations.allowed
    /// Whether it is one run of a subscription.
    public internal(set) var isSubscription = false
    /// What happened that this run of a subscription tells of; nil where it runs a query.
    public internal(set) var event: JSONValue?
    /// Whether fields that fail are null, and the others are told; else all or nothing is.
    public var isPartial = false
    /// Whether nothing is to be done beyond finding out whether it could be.
    public var onlyValidates = false
    /// The values of placeholders such as `[$auth.user_id]`, by their names.
    public var identity: JSONObject = [:]
    /// Who asks, with what that is allowed. Sets the identity, and an earlier deadline where a role has less time.
    public var caller: QueryCaller? {
        didSet {
            identity = caller?.values ?? [:]
            if caller?.identity.isReadOnly == true, mutations == .allowed { mutations = .forbidden }
            if let time = caller?.limits.time { deadline = min(deadline, BootClock.now.advanced(by: time)) }
        }
    }
    public var deadline: Instant

    public enum Mutations: Sendable, Hashable {
        case allowed
        /// Whoever asks may not change anything.
        case forbidden
        /// Not by this way of asking.
        case notHere
    }

    public init(_ text: [UInt8], deadline: Instant) {
        self.text = text
        self.deadline = deadline
    }
}
