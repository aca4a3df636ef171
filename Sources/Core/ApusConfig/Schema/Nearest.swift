/// The candidate that `text` is probably a slip of: nearest by edits, if near at all; ties go to the first.
public func nearest(to text: String, among candidates: some Sequence<String>) -> String? {
    let typed = Array(text.lowercased().utf8.prefix(64))
    var best: (name: String, distance: Int)?
    for candidate in candidates {
        let distance = editDistance(typed, Array(candidate.lowercased().utf8.prefix(64)))
        // A third of what was typed may be wrong, and at least one letter; else the guess is noise.
        guard distance <= max(1, typed.count / 3), distance < best?.distance ?? .max else { continue }
        best = (candidate, distance)
    }
    return best?.name
}

/// The number of insertions, deletions, substitutions and swaps of neighbours between two words (Damerau 1964, in the form
/// of optimal string alignment).
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...right.count)
    for i in left.indices {
        var row = [i + 1]
        for j in right.indices {
            var cost = min(previous[j + 1] + 1, row[j] + 1, previous[j] + (left[i] == right[j] ? 0 : 1))
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { cost = min(cost, beforePrevious[j - 1] + 1) }
            row.append(cost)
        }
        beforePrevious = previous
        previous = row
    }
    return previous[right.count]
}
