/// Counts of features, added into a dense vector of any length under signed hashes (Weinberger et al., 2009: the sign makes the
/// products of colliding features cancel on average). No vocabulary: a feature's place depends on nothing but its code points.
struct HashedFeatures {
    /// In the order of their first appearance, so that sums are the same everywhere: the order of a dictionary is another one in each
    /// process.
    private(set) var features: [(hash: UInt64, count: Double, weight: Double)] = []
    private var places: [UInt64: Int] = [:]

    mutating func add(_ hash: UInt64, weight: @autoclosure () -> Double = 1) {
        if let place = places[hash] {
            features[place].count += 1
        } else {
            places[hash] = features.count
            features.append((hash, 1, weight()))
        }
    }

    /// The vector of `dimension` numbers whose square sum is 1 (zeros if there is no feature), `value` of each feature at its place.
    func vector(dimension: Int, _ value: (_ count: Double, _ weight: Double) -> Double) -> [Float] {
        var sums = [Double](repeating: 0, count: dimension)
        for feature in features {
            let place = Int(feature.hash.multipliedFullWidth(by: UInt64(dimension)).high)
            let amount = value(feature.count, feature.weight)
            sums[place] += feature.hash & 1 == 0 ? amount : -amount
        }
        let length = sums.reduce(0) { $0 + $1 * $1 }.squareRoot()
        // Two features that cancel each other out leave nothing to be normalised.
        return length > 0 ? sums.map { Float($0 / length) } : [Float](repeating: 0, count: dimension)
    }
}

/// FNV-1a over code points, its bits mixed as SplitMix64 does, because the high ones choose the place.
struct FeatureHash {
    static let start: UInt64 = 0xCBF2_9CE4_8422_2325
    static let prime: UInt64 = 0x100_0000_01B3
    private(set) var state = start

    mutating func add(_ value: UInt32) { state = (state ^ UInt64(value)) &* Self.prime }

    var value: UInt64 {
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    static func of(_ codePoints: some Sequence<UInt32>) -> UInt64 { hash(of: codePoints).value }
    /// Before its bits are mixed, which is one to one.
    static func state(of codePoints: some Sequence<UInt32>) -> UInt64 { hash(of: codePoints).state }

    private static func hash(of codePoints: some Sequence<UInt32>) -> FeatureHash {
        var hash = FeatureHash()
        for codePoint in codePoints { hash.add(codePoint) }
        return hash
    }
}
