public import ApusTypes

/// What one client asked for once, when, and what came of it.
public struct Operation: Sendable, Hashable {
    public enum Action: Sendable, Hashable {
        /// Writes a point whose vector and payload follow from the value. No value is written twice.
        case put(id: String, value: Int)
        /// The same for a point that is there.
        case update(id: String, value: Int)
        case delete(id: String)
        case read(id: String)
        case search(query: [Float], limit: Int, isExact: Bool)
        /// All points, all or nothing.
        case list
    }

    public enum Outcome: String, Sendable, Hashable {
        /// It was answered with success: a write is acknowledged.
        case done
        /// It failed. A write may have been done all the same, or be done later.
        case unknown
        /// It was said to be wrong. Clients here ask nothing wrong.
        case refused
    }

    /// A request that was sent for it: a write is sent again, under the same key, until it is acknowledged.
    public struct Attempt: Sendable, Hashable {
        public var from: Instant
        public var until: Instant
        /// Of the reply; 0 where there was none.
        public var status: Int

        public init(from: Instant, until: Instant, status: Int) {
            self.from = from
            self.until = until
            self.status = status
        }
    }

    /// A point as a reply shows it.
    public struct Hit: Sendable, Hashable {
        public var id: String
        /// Nil where the payload has none.
        public var value: Int?
        public var score: Float

        public init(id: String, value: Int?, score: Float) {
            self.id = id
            self.value = value
            self.score = score
        }
    }

    public struct Completion: Sendable, Hashable {
        public var at: Instant
        public var outcome: Outcome
        /// What the reply said of a failure.
        public var note: String
        public var attempts: [Attempt]
        public var hits: [Hit]
        /// What the reply said of itself.
        public var isComplete: Bool
        public var isStale: Bool

        public init(
            at: Instant, outcome: Outcome, note: String = "", attempts: [Attempt] = [], hits: [Hit] = [], isComplete: Bool = true,
            isStale: Bool = false
        ) {
            self.at = at
            self.outcome = outcome
            self.note = note
            self.attempts = attempts
            self.hits = hits
            self.isComplete = isComplete
            self.isStale = isStale
        }
    }

    public var number: Int
    public var client: String
    public var collection: String
    public var action: Action
    public var invoked: Instant
    /// Nil while it is under way, and where the recording ended before it did.
    public var completion: Completion?

    public init(number: Int, client: String, collection: String, action: Action, invoked: Instant, completion: Completion? = nil) {
        self.number = number
        self.client = client
        self.collection = collection
        self.action = action
        self.invoked = invoked
        self.completion = completion
    }

    public var isWrite: Bool {
        switch action {
        case .put, .update, .delete: true
        case .read, .search, .list: false
        }
    }

    /// A write that was acknowledged, or a reading that gave all that it should and is not marked as old.
    public var isWhole: Bool { completion.map { $0.outcome == .done && $0.isComplete && !$0.isStale } ?? false }
}

/// Values and the vectors that they stand for: a reply can be checked without a record of what was sent.
public struct ValueSpace: Sendable, Hashable {
    public let seed: UInt64
    public let dimension: Int

    public init(seed: UInt64, dimension: Int = 4) {
        self.seed = seed
        self.dimension = dimension
    }

    /// Numbers that JSON and single precision keep exactly.
    public func vector(of value: Int) -> [Float] {
        var state = seed ^ (UInt64(bitPattern: Int64(value)) &* 0x9E37_79B9_7F4A_7C15)
        return (0..<dimension).map { _ in
            // SplitMix64 (Steele, Lea, Flood, 2014).
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return Float(Int((mixed ^ (mixed >> 31)) % 4097) - 2048) / 1024
        }
    }
}

/// Euclidean: what the collections are searched by.
public func distance(_ left: [Float], _ right: [Float]) -> Float {
    var sum: Float = 0
    for index in left.indices { sum += (left[index] - right[index]) * (left[index] - right[index]) }
    return sum.squareRoot()
}
