/// The natural logarithm of a count, at least 1, by operations that IEEE 754 rounds alike everywhere: the C library's differs in its last
/// bit between versions and processors, and vectors must not.
func logarithm(_ value: Double) -> Double {
    // value = 2^e × m with m in 1..<2; ln m = 2 artanh((m - 1) / (m + 1)), whose argument is below 1/3.
    let ratio = (value.significand - 1) / (value.significand + 1)
    var (power, sum) = (ratio, 0.0)
    for divisor in stride(from: 1.0, through: 39, by: 2) {
        sum += power / divisor
        power *= ratio * ratio
    }
    return Double(value.exponent) * 0.693_147_180_559_945_3 + 2 * sum
}
