/// "Did you mean …?" as graphql-js finds and says it.
enum Suggestions {
    /// At most this many are said.
    static let most = 5
    /// Comparing costs the product of the lengths; a client chooses one of them.
    static let longestInput = 256

    /// ` Did you mean "a", "b", or "c"?`, or nothing.
    static func didYouMean(_ suggestions: [String], _ what: String? = nil) -> String {
        let named = suggestions.prefix(most).map { "\"\($0)\"" }
        let list: String =
            switch named.count {
            case 0: ""
            case 1: named[0]
            case 2: "\(named[0]) or \(named[1])"
            default: named.dropLast().joined(separator: ", ") + ", or " + named[named.count - 1]
            }
        return list.isEmpty ? "" : " Did you mean \(what.map { $0 + " " } ?? "")\(list)?"
    }

    static func didYouMean(_ input: String, among options: some Sequence<String>, _ what: String? = nil) -> String {
        didYouMean(near(input, options), what)
    }

    /// The options that differ in at most two fifths of the letters, plus one; nearest first.
    static func near(_ input: String, _ options: some Sequence<String>) -> [String] {
        let typed = Array(input.utf8)
        guard typed.count <= longestInput else { return [] }
        let threshold = input.unicodeScalars.count * 4 / 10 + 1
        return Set(options).compactMap { option in distance(typed, Array(option.utf8), threshold).map { (option, $0) } }
            .sorted { $0.1 != $1.1 ? $0.1 < $1.1 : naturallyPrecedes($0.0, $1.0) }
            .map(\.0)
    }

    /// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment); a change of case alone counts once.
    /// Nil above `threshold`.
    private static func distance(_ input: [UInt8], _ option: [UInt8], _ threshold: Int) -> Int? {
        if input == option { return 0 }
        let left = input.map(lowercased)
        let right = option.map(lowercased)
        if left == right { return 1 }
        guard abs(left.count - right.count) <= threshold else { return nil }
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for i in left.indices {
            var row = [i + 1]
            row.reserveCapacity(right.count + 1)
            for j in right.indices {
                var cost = min(previous[j + 1] + 1, row[j] + 1, previous[j] + (left[i] == right[j] ? 0 : 1))
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { cost = min(cost, beforePrevious[j - 1] + 1) }
                row.append(cost)
            }
            if row.allSatisfy({ $0 > threshold }) { return nil }
            beforePrevious = previous
            previous = row
        }
        return previous[right.count] <= threshold ? previous[right.count] : nil
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    /// Numbers inside names compare by their value: `a2` before `a10`.
    static func naturallyPrecedes(_ left: String, _ right: String) -> Bool {
        var left = Array(left.utf8)[...]
        var right = Array(right.utf8)[...]
        while let first = left.first, let other = right.first {
            if first.isDigit, other.isDigit {
                let digits = left.prefix(while: \.isDigit)
                let otherDigits = right.prefix(while: \.isDigit)
                let number = digits.drop { $0 == 0x30 }
                let otherNumber = otherDigits.drop { $0 == 0x30 }
                if number.count != otherNumber.count { return number.count < otherNumber.count }
                if !number.elementsEqual(otherNumber) { return number.lexicographicallyPrecedes(otherNumber) }
                left = left.dropFirst(digits.count)
                right = right.dropFirst(otherDigits.count)
            } else if first != other {
                return first < other
            } else {
                left = left.dropFirst()
                right = right.dropFirst()
            }
        }
        return left.count < right.count
    }
}
