/// What a `Range` header asks of a representation (RFC 9110, section 14).
///
/// Several ranges are answered with the whole, which the standard allows: what gathers pieces of large files asks for one at a time,
/// and many small ones are an attack (CVE-2011-3192).
enum ByteRange: Equatable {
    case whole
    /// First and last byte, both included.
    case part(ClosedRange<Int>)
    case unsatisfiable

    init(_ header: String?, size: Int) {
        self = .whole
        guard let header, header.lowercased().hasPrefix("bytes=") else { return }
        let set = HeaderList.elements(of: [String(header.dropFirst(6))])
        guard set.count == 1 else { return }
        let bounds = set[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard bounds.count == 2, let first = Self.number(bounds[0]), let last = Self.number(bounds[1]) else { return }
        switch (first, last) {
        case (nil, nil): return
        case (nil, let suffix?):
            self = suffix > 0 && size > 0 ? .part(max(0, size - suffix)...(size - 1)) : .unsatisfiable
        case (let first?, let last):
            if let last, last < first { return }
            self = first < size ? .part(first...min(last ?? size - 1, size - 1)) : .unsatisfiable
        }
    }

    /// An absent number is `.some(nil)`, a wrong one nil. Numbers beyond any file count as the largest.
    private static func number(_ text: Substring) -> Int?? {
        if text.isEmpty { return .some(nil) }
        guard text.utf8.allSatisfy(ASCII.isDigit) else { return nil }
        return .some(Int(text) ?? .max)
    }
}
