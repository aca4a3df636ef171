public import ApusTypes

/// All that clients asked for and were told in a run, and what was done to the cluster meanwhile.
public struct History: Sendable {
    public var values: ValueSpace
    /// How many replicas the shards of each collection have.
    public var replicas: [String: Int]
    public var operations: [Operation] = []
    public var episodes: [Episode] = []
    /// Times in which the machine itself stood still: no bound counts them.
    public var stalls: [Stall] = []

    public struct Stall: Sendable, Hashable {
        public var from: Instant
        public var until: Instant

        public init(from: Instant, until: Instant) {
            self.from = from
            self.until = until
        }
    }

    public init(values: ValueSpace, replicas: [String: Int]) {
        self.values = values
        self.replicas = replicas
    }

    /// How long the machine stood still in a time.
    public func stalled(from: Instant, until: Instant) -> Duration {
        stalls.reduce(.zero) { $0 + max(.zero, max($1.from, from).duration(to: min($1.until, until))) }
    }
}

/// Some faults at a time, until the cluster was whole again.
public struct Episode: Sendable, Hashable {
    public struct Fault: Sendable, Hashable {
        public var kind: FaultKind
        /// Whom it struck: `n2`, `n1→n3`; empty where that is clear.
        public var target: String
        public var injected: Instant
        public var healed: Instant
        /// When another node led, for faults of the leader.
        public var led: Instant?
        /// When the node itself said that it cannot write, for faults of the store.
        public var noticed: Instant?
        /// Nodes that anybody said were down meanwhile.
        public var down: [String]

        public init(
            kind: FaultKind, target: String, injected: Instant, healed: Instant, led: Instant? = nil, noticed: Instant? = nil,
            down: [String] = []
        ) {
            self.kind = kind
            self.target = target
            self.injected = injected
            self.healed = healed
            self.led = led
            self.noticed = noticed
            self.down = down
        }
    }

    public var faults: [Fault]
    /// When every node was active, every shard had its replicas, and reads and writes were answered; nil: not in the time given.
    public var whole: Instant?
    /// When that was given up.
    public var until: Instant

    public init(faults: [Fault], whole: Instant?, until: Instant) {
        self.faults = faults
        self.whole = whole
        self.until = until
    }
}
