public import ApusTypes

/// When a silent node is suspected, and when it is taken for gone.
public struct MembershipTerms: Sendable, Hashable {
    /// Silence of its heartbeats.
    public var suspectAfter = Duration.seconds(3)
    public var downAfter = Duration.seconds(5)
    /// How much longer the first heartbeat of a node's life may take: its session begins when the one of the life before has ended.
    public var firstHeartbeat = Duration.seconds(5)
    /// Silence counts as far as reads follow each other as planned; what a read takes longer adds nothing.
    public var longestStep = Duration.seconds(2)
    /// A node that has come back so often within `flapMemory` is suspected until it was quiet for `flapPenalty`.
    public var mostReturns = 3
    public var flapMemory = Duration.seconds(300)
    public var flapPenalty = Duration.seconds(60)
    /// A node that has just registered is not trusted before a peer has reached it, or nobody has asked it for so long. Zero where nobody asks.
    public var acquaintance = Duration.seconds(10)
    /// So many peers must fail to reach a node that beats, and none reach it, for so long, for it to be unreached: one path cut one way says
    /// nothing of the node. Not before as much time as makes a silent one suspect, nor before all have asked (`round`).
    public var leastFailures = 2
    public var unreachedGrace = Duration.seconds(60)
    /// In which those who are to ask a node have heard of it, have asked, and have told.
    static let round = Duration.seconds(3)

    public init() {}
}

/// What came of asking a node whether it is there.
public struct ProbeResult: Sendable, Hashable {
    /// The life of the node that was asked for, and which alone it is said of.
    public var incarnation: Int64
    public var isReached: Bool

    public init(incarnation: Int64, isReached: Bool) {
        self.incarnation = incarnation
        self.isReached = isReached
    }
}

/// A node as one successful read of the catalog shows it.
public struct NodeSighting: Sendable, Hashable {
    public var name: NodeName
    /// Rises with each life of the node, when it registers.
    public var incarnation: Int64
    /// Of its session.
    public var epoch: Int64
    /// Rises with each heartbeat.
    public var heartbeats: Int64
    /// Whether it says that it takes part: not one that has left.
    public var takesPart: Bool
    /// What it found out about others, as its last heartbeat told.
    public var probes: [NodeName: ProbeResult]

    public init(
        name: NodeName, incarnation: Int64, epoch: Int64, heartbeats: Int64, takesPart: Bool, probes: [NodeName: ProbeResult] = [:]
    ) {
        self.name = name
        self.incarnation = incarnation
        self.epoch = epoch
        self.heartbeats = heartbeats
        self.takesPart = takesPart
        self.probes = probes
    }
}

/// What is thought of a node, and from what.
public struct NodeStanding: Sendable, Hashable {
    public enum State: String, Sendable, Hashable, Comparable {
        case alive
        /// One signal fails: it is given no work for which there is another node. Where its peers alone fail it is unreached in time.
        case suspect
        /// Both fail: what it serves is placed elsewhere in time.
        case down

        public static func < (left: State, right: State) -> Bool { left.rank < right.rank }
        private var rank: Int { self == .alive ? 0 : self == .suspect ? 1 : 2 }
    }

    public var state: State
    /// How long its heartbeats were not seen to go on, in successful reads.
    public var silence: Duration
    /// Nodes that probe it, by whether it answered; only such as live themselves.
    public var answers: Set<NodeName>
    public var failures: Set<NodeName>
    /// It has come and gone too often of late.
    public var isFlapping: Bool
    /// When it was first seen in this state.
    public var since: Instant
    /// A peer has reached it in this life of it, or nobody has asked for long.
    public var isAcquainted: Bool
    /// For how long it has beaten and nobody that asks it, and reaches others, has reached it, in successful reads.
    public var unreachedTime: Duration
    /// That was long enough to place elsewhere what it serves, and not all of those reach it again: it is given nothing.
    public var wasUnreached: Bool

    /// Of a node that is known to live from something else.
    public init(aliveSince since: Instant) {
        self.init(
            state: .alive, silence: .zero, answers: [], failures: [], isFlapping: false, since: since, isAcquainted: true,
            unreachedTime: .zero, wasUnreached: false)
    }

    init(
        state: State, silence: Duration, answers: Set<NodeName>, failures: Set<NodeName>, isFlapping: Bool, since: Instant,
        isAcquainted: Bool, unreachedTime: Duration, wasUnreached: Bool
    ) {
        self.state = state
        self.silence = silence
        self.answers = answers
        self.failures = failures
        self.isFlapping = isFlapping
        self.since = since
        self.isAcquainted = isAcquainted
        self.unreachedTime = unreachedTime
        self.wasUnreached = wasUnreached
    }

    /// It beats, and is of no use to the others: what it serves is placed elsewhere.
    public var isUnreached: Bool { state == .suspect && wasUnreached && answers.isEmpty }

    /// Whether it is of the smaller side. It is itself of the one that reaches it: of two halves that are cut from each other both go on.
    public var isDoubted: Bool { Self.isDoubted(answers, failures) }

    static func isDoubted(_ answers: Set<NodeName>, _ failures: Set<NodeName>) -> Bool {
        answers.isEmpty ? !failures.isEmpty : failures.count > answers.count + 1
    }

    /// Some reach it and some do not: a path is cut, not the node gone.
    public var isAsymmetric: Bool { !answers.isEmpty && !failures.isEmpty }

    /// It has registered a moment ago: nobody can have said yet whether it is reached.
    public var isNewcomer: Bool { state == .alive && !isAcquainted && failures.isEmpty }

    /// All have to be asked whether they reach it. Also one that lives, as long as anybody fails: or it would be asked by few again, and
    /// suspect again, in turns.
    public var isInDoubt: Bool { state != .alive || !failures.isEmpty }
}

/// Tells by two signals which nodes live: their heartbeats in the catalog, and whether their peers' probes are answered.
///
/// Pure: it is told what each successful read showed, and when. Nobody is suspected for a read that failed, nor for a clock that jumped, and
/// nobody is down who answers anybody that lives.
public struct MembershipMachine: Sendable {
    private struct Pulse {
        var sign: Sign
        var silence: Duration = .zero
        /// It has not been heard of since it registered.
        var isNew = true
        /// A peer has reached it since then; and how long it has been watched.
        var isAcquainted = false
        var age: Duration = .zero
        /// For how long nobody has said anything of it.
        var unasked: Duration = .zero
        var unreachedTime: Duration = .zero
        var wasUnreached = false
        var state = NodeStanding.State.alive
        var since: Instant
        /// When it came back after having been suspected.
        var returns: [Instant] = []
    }

    /// What tells that a node was alive: any change of it.
    private struct Sign: Hashable {
        var incarnation: Int64
        var epoch: Int64
        var heartbeats: Int64

        init(_ node: NodeSighting) { (incarnation, epoch, heartbeats) = (node.incarnation, node.epoch, node.heartbeats) }
    }

    public let terms: MembershipTerms
    private var pulses: [NodeName: Pulse] = [:]
    private var standings: [NodeName: NodeStanding] = [:]
    private var lastRead: Instant?

    public init(terms: MembershipTerms = MembershipTerms()) { self.terms = terms }

    /// One that judges anew, and knows of each node only for how long nobody has reached it: a change of the leader is no reason to trust one.
    public func successor(at now: Instant) -> MembershipMachine {
        var machine = MembershipMachine(terms: terms)
        machine.pulses = pulses.mapValues { pulse in
            var fresh = Pulse(sign: pulse.sign, since: now)
            (fresh.unreachedTime, fresh.wasUnreached) = (pulse.unreachedTime, pulse.wasUnreached)
            return fresh
        }
        return machine
    }

    /// A successful read of all nodes. `own`: what the reader itself found by probing, which no heartbeat has to bring.
    public mutating func observe(_ nodes: [NodeSighting], reader: NodeName, own: [NodeName: ProbeResult], at now: Instant) {
        let elapsed = lastRead.map { min($0.duration(to: now), terms.longestStep) } ?? .zero
        lastRead = now
        var next: [NodeName: Pulse] = [:]
        for node in nodes where node.takesPart {
            let sign = Sign(node)
            var pulse = pulses[node.name] ?? Pulse(sign: sign, since: now)
            let isStill = pulses[node.name] != nil && pulse.sign == sign
            pulse.silence = isStill && node.name != reader ? pulse.silence + elapsed : .zero
            if pulse.sign.incarnation != sign.incarnation {
                (pulse.isAcquainted, pulse.age, pulse.unreachedTime, pulse.wasUnreached) = (false, .zero, .zero, false)
            }
            if pulse.sign != sign { pulse.isNew = pulse.sign.incarnation != sign.incarnation }
            pulse.sign = sign
            next[node.name] = pulse
        }
        // Those who are silent themselves are no witnesses.
        var witnesses: [NodeName: [NodeName: ProbeResult]] = [:]
        for node in nodes where next[node.name].map({ $0.silence < terms.suspectAfter }) ?? false { witnesses[node.name] = node.probes }
        witnesses[reader] = own
        standings = [:]
        for name in next.keys {
            standings[name] = judge(name, &next[name]!, witnesses, isReader: name == reader, elapsed: elapsed, at: now)  // of a key of it
        }
        pulses = next
    }

    /// Nil for a node that does not take part.
    public func standing(of node: NodeName) -> NodeStanding? { standings[node] }

    private func judge(
        _ name: NodeName, _ pulse: inout Pulse, _ witnesses: [NodeName: [NodeName: ProbeResult]], isReader: Bool, elapsed: Duration,
        at now: Instant
    ) -> NodeStanding {
        let said = witnesses.filter { $0.key != name }.compactMapValues { $0[name] }.filter {
            $0.value.incarnation == pulse.sign.incarnation
        }
        let answers = Set(said.filter(\.value.isReached).keys)
        let failures = Set(said.keys).subtracting(answers)
        pulse.age += elapsed
        pulse.unasked = said.isEmpty ? pulse.unasked + elapsed : .zero
        if isReader || !answers.isEmpty || failures.isEmpty && pulse.age >= terms.acquaintance { pulse.isAcquainted = true }
        // Of a node that beats, and by witnesses that reach somebody: who reaches nobody may be what is cut off itself.
        let witnessed = failures.count { witnesses[$0]?.values.contains(where: \.isReached) ?? false }
        if witnessed == 0, !answers.isEmpty || pulse.unasked >= terms.acquaintance {
            // Reached again; or those who did not reach it are gone, and nobody is left to say that they do.
            (pulse.unreachedTime, pulse.wasUnreached) = (.zero, false)
        } else if !answers.isEmpty || pulse.silence >= terms.suspectAfter {
            // Some reach again who was unreached: shards would move to and fro with a path that comes and goes.
            if !pulse.wasUnreached { pulse.unreachedTime = .zero }
        } else if witnessed >= terms.leastFailures {
            pulse.unreachedTime += elapsed
            if pulse.unreachedTime >= max(terms.unreachedGrace, terms.suspectAfter, MembershipTerms.round) { pulse.wasUnreached = true }
        }
        pulse.returns.removeAll { $0.duration(to: now) > terms.flapMemory }

        var state = NodeStanding.State.alive
        let patience = terms.suspectAfter + (pulse.isNew ? terms.firstHeartbeat : .zero)
        if pulse.silence >= patience || NodeStanding.isDoubted(answers, failures) { state = .suspect }
        if pulse.silence >= terms.downAfter, answers.isEmpty { state = .down }
        if state == .alive, pulse.state != .alive, pulse.returns.last != now { pulse.returns.append(now) }
        let isFlapping =
            pulse.returns.count > terms.mostReturns && pulse.returns.last.map { $0.duration(to: now) < terms.flapPenalty } ?? false
        // It has returned, but is not trusted yet: what it returns from is not a state that it is in.
        if state != pulse.state {
            pulse.state = state
            pulse.since = now
        }
        return NodeStanding(
            state: isFlapping ? max(state, .suspect) : state, silence: pulse.silence, answers: answers, failures: failures,
            isFlapping: isFlapping, since: pulse.since, isAcquainted: pulse.isAcquainted, unreachedTime: pulse.unreachedTime,
            wasUnreached: pulse.wasUnreached)
    }
}

/// Who probes whom: every node the few that follow it in the order of names, around the end, so that each is probed by as many; and those that
/// are in `doubt`: the few that ask a node may all be where a cut has put them away from it.
public func probed(
    by node: NodeName, among nodes: some Sequence<NodeName>, doubt: Set<NodeName> = [], witnesses: Int = 3
) -> Set<NodeName> {
    let others = Set(nodes).subtracting([node]).sorted()
    let following = others.filter { $0 > node } + others.filter { $0 < node }
    return Set(following.prefix(witnesses)).union(doubt.intersection(others))
}
