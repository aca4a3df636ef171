/// What a client's `Accept-Encoding` says (RFC 9110, 12.5.3).
struct AcceptEncoding {
    /// Thousandths by coding in lower case.
    private var weights: [String: Int] = [:]

    init(_ values: [String]) {
        for element in HeaderList.elements(of: values) {
            guard let (coding, parameters) = HeaderList.parameters(of: element) else { continue }
            guard let weight = parameters.first(where: { $0.name == "q" }) else {
                weights[coding.lowercased()] = 1000
                continue
            }
            if let weight = Self.thousandths(weight.value) { weights[coding.lowercased()] = weight }
        }
    }

    /// Whether gzip is welcome, and not less so than the plain bytes.
    var prefersGzip: Bool {
        let gzip = weights["gzip"] ?? weights["x-gzip"] ?? weights["*"] ?? 0
        return gzip > 0 && gzip >= weights["identity"] ?? 0
    }

    /// `0.5` as 500; nil for what is no weight: RFC 9110, 12.4.2 allows up to three digits and nothing above 1.
    static func thousandths(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard (1...5).contains(bytes.count), bytes[0] == 48 || bytes[0] == 49 else { return nil }
        guard bytes.count == 1 || bytes[1] == UInt8(ascii: ".") else { return nil }
        let digits = bytes.dropFirst(2)
        guard digits.allSatisfy(ASCII.isDigit) else { return nil }
        let fraction = (0..<3).reduce(0) { $0 * 10 + ($1 < digits.count ? Int(digits[2 + $1]) - 48 : 0) }
        let value = Int(bytes[0] - 48) * 1000 + fraction
        return value <= 1000 ? value : nil
    }
}
