/// What the victims of a power loss write: from a number, so that a reader knows what must be there.
public enum PowerLossWorkload {
    /// Small and large, empty ones too; with 1 % of more than a block.
    public static func object(_ seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        let size =
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<10: 0
            case 10..<70: Int.random(in: 1..<5000, using: &random)
            case 70..<99: Int.random(in: 5000..<200_000, using: &random)
            default: Int.random(in: 1_000_000..<1_500_000, using: &random)
            }
        return random.bytes(size)
    }

    /// Its first eight bytes are the seed.
    public static func operation(_ seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        let size = Int.random(in: 0..<10, using: &random) == 0 ? 60_000 : Int.random(in: 0..<30_000, using: &random)
        return (0..<8).map { UInt8(truncatingIfNeeded: seed >> UInt64(8 * $0)) } + random.bytes(size)
    }
}
