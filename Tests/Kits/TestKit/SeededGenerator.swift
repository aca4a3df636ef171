/// Random numbers that are the same in each run: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    public mutating func vector(_ dimension: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        // 24 random bits a number: `Float.random` is several times slower, and tests make millions.
        let width = range.upperBound - range.lowerBound
        return [Float](unsafeUninitializedCapacity: dimension) { buffer, count in
            for index in 0..<dimension { buffer[index] = range.lowerBound + width * Float(next() >> 40) * 0x1p-24 }
            count = dimension
        }
    }
}
