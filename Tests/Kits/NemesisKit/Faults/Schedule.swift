/// A fault to come.
public struct PlannedFault: Sendable, Hashable {
    public var kind: FaultKind
    /// Of the node that it strikes, and of another one for paths.
    public var node: Int
    public var other: Int
    /// Seconds after the beginning of its episode.
    public var after: Double
    public var hold: Double
}

/// What is done in which order: the same seed gives the same plan.
///
/// Every kind comes once before any comes again, so that a run of some minutes has tried them all.
public struct Schedule: Sendable {
    private var random: SplitMix
    private let kinds: [FaultKind]
    private let nodes: Int
    private var bag: [FaultKind] = []

    /// `nodes`: those that there are all the time.
    public init(seed: UInt64, nodes: Int, kinds: [FaultKind]) {
        random = SplitMix(state: seed)
        self.nodes = nodes
        self.kinds = kinds
    }

    /// The faults of one episode: one, or some that are not of one domain.
    public mutating func next() -> [PlannedFault] {
        var faults = [draw { _ in true }].compactMap { $0 }
        if faults.first?.domain != .everything, Int.random(in: 0..<10, using: &random) < 5 {
            let domains = Set(faults.map(\.domain))
            if let second = draw({ !domains.contains($0.domain) && $0.domain != .everything }) { faults.append(second) }
        }
        return faults.enumerated().map { index, kind in
            let node = Int.random(in: 0..<nodes, using: &random)
            let other = (node + Int.random(in: 1..<max(2, nodes), using: &random)) % nodes
            return PlannedFault(
                kind: kind, node: node, other: other, after: index == 0 ? 0 : Double.random(in: 0...3, using: &random),
                hold: Double.random(in: kind.hold, using: &random))
        }
    }

    private mutating func draw(_ fits: (FaultKind) -> Bool) -> FaultKind? {
        if bag.isEmpty { bag = kinds.shuffled(using: &random) }
        guard let place = bag.firstIndex(where: fits) else { return nil }
        return bag.remove(at: place)
    }

    /// Steele, Lea, Flood, 2014.
    private struct SplitMix: RandomNumberGenerator, Sendable {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
