public import ApusTypes

/// A type that a setting can have: how it is read from YAML (and, through `fromText`, from environment variables and flags), written
/// back, and named to a person.
public protocol ConfigurationValue: Equatable, Sendable {
    static var typeName: String { get }
    init(_ node: YAMLNode) throws(ConfigurationMistake)
    var node: YAMLNode { get }
    /// The node that one line of text stands for.
    static func node(fromText text: String) -> YAMLNode
}

/// Why a value was not accepted, in words that finish "… must be".
public struct ConfigurationMistake: Error, Hashable {
    public var what: String
    /// Deeper than the key itself: the place inside a list or mapping.
    public var mark: YAMLMark?
    /// Further mistakes in the same value: a list or mapping is read to its end.
    var further: [ConfigurationMistake] = []

    public init(_ what: String, mark: YAMLMark? = nil) {
        self.what = what
        self.mark = mark
    }

    /// This one and all further ones.
    var all: [ConfigurationMistake] { [self] + further.flatMap(\.all) }
}

/// Collects the mistakes of a value that has parts, so that one does not hide the next.
struct ConfigurationMistakes {
    private var found: [ConfigurationMistake] = []

    /// What `body` gives; nil, with its mistakes noted, when it gives none.
    mutating func attempt<Value>(_ body: () throws(ConfigurationMistake) -> Value) -> Value? {
        do throws(ConfigurationMistake) { return try body() } catch {
            found += error.all
            return nil
        }
    }

    mutating func note(_ what: String, mark: YAMLMark) { found.append(ConfigurationMistake(what, mark: mark)) }

    /// Throws all that were found, in the order in which they stand.
    func check() throws(ConfigurationMistake) {
        let sorted = found.sorted { ($0.mark ?? .none).precedes($1.mark ?? .none) }
        guard var first = sorted.first else { return }
        first.further = Array(sorted.dropFirst())
        throw first
    }
}

extension YAMLMark {
    fileprivate func precedes(_ other: YAMLMark) -> Bool { (line, column) < (other.line, other.column) }
}

extension ConfigurationValue {
    public static func node(fromText text: String) -> YAMLNode { YAMLNode(.scalar(YAMLScalar(text: text, isPlain: true))) }

    fileprivate static func mistake(_ node: YAMLNode) -> ConfigurationMistake {
        let found = node.scalar.map { $0.core == .null ? "nothing" : "'\($0.text)'" } ?? node.kind
        return ConfigurationMistake("must be \(typeName), not \(found)", mark: node.mark)
    }
}

extension YAMLNode {
    static func plain(_ text: String) -> YAMLNode { YAMLNode(.scalar(YAMLScalar(text: text, isPlain: true))) }
    static func string(_ text: String) -> YAMLNode { YAMLNode(.scalar(YAMLScalar(text: text, isPlain: false))) }
    public static let null = YAMLNode.plain("null")
}

extension Bool: ConfigurationValue {
    public static var typeName: String { "true or false" }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard case .bool(let value) = node.scalar?.core else { throw Self.mistake(node) }
        self = value
    }

    public var node: YAMLNode { .plain(self ? "true" : "false") }
}

extension Int: ConfigurationValue {
    public static var typeName: String { "a whole number" }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard case .integer(let value) = node.scalar?.core else { throw Self.mistake(node) }
        self = Int(value)
    }

    public var node: YAMLNode { .plain(String(self)) }
}

extension String: ConfigurationValue {
    public static var typeName: String { "text" }

    /// Any scalar is text when text is wanted, as it was written: a node may be named `007`.
    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard let scalar = node.scalar, scalar.core != .null else { throw Self.mistake(node) }
        self = scalar.text
    }

    public var node: YAMLNode { .string(self) }
    public static func node(fromText text: String) -> YAMLNode { .string(text) }
}

extension Redacted<String>: ConfigurationValue {
    public static var typeName: String { "text (a secret)" }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard let scalar = node.scalar, scalar.core != .null else { throw ConfigurationMistake("must be text", mark: node.mark) }
        self.init(scalar.text)
    }

    public var node: YAMLNode { .string(reveal()) }
    public static func node(fromText text: String) -> YAMLNode { .string(text) }
}

extension NodeName: ConfigurationValue {
    public static var typeName: String { "a name of 1 to 63 letters, digits, '-', '_' or '.'" }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard let text = node.scalar?.text, (1...63).contains(text.utf8.count),
            text.utf8.allSatisfy({
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || [45, 46, 95].contains($0)
            })
        else { throw Self.mistake(node) }
        self.init(text)
    }

    public var node: YAMLNode { .string(rawValue) }
    public static func node(fromText text: String) -> YAMLNode { .string(text) }
}

extension Duration: ConfigurationValue {
    public static var typeName: String { "a number of seconds (or '250ms', '5m', '24h', '7d')" }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        let units: [(String, Int64)] = [
            ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
        ]
        guard let text = node.scalar?.text else { throw Self.mistake(node) }
        let unit = units.first { text.hasSuffix($0.0) } ?? ("", 1_000_000_000)
        guard let value = Decimal9(String(text.dropLast(unit.0.count))).flatMap({ $0.times(unit.1) }) else { throw Self.mistake(node) }
        self = .nanoseconds(value)
    }

    /// Seconds with as many decimals as needed, at most nine.
    public var node: YAMLNode { .plain(Decimal9(billionths: nanoseconds).description) }
}

extension ByteCount: ConfigurationValue {
    public static var typeName: String { "a number of bytes (or '64 KiB', '100 MiB', '50 GB')" }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        let units: [(String, Int64)] = [
            ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
            ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
        ]
        guard let text = node.scalar?.text else { throw Self.mistake(node) }
        let unit = units.first { text.hasSuffix($0.0) } ?? ("", 1)
        var number = text.dropLast(unit.0.count)
        while !unit.0.isEmpty, number.last == " " { number.removeLast() }
        guard let value = Decimal9(String(number)).flatMap({ $0.times(unit.1) }) else { throw Self.mistake(node) }
        self.init(Int(value))
    }

    public var node: YAMLNode { .plain(String(bytes)) }
}

/// A non-negative decimal number with at most nine decimals, exact: 0.1 s is 100 ms, not nearly so.
private struct Decimal9: CustomStringConvertible {
    private static let one: Int64 = 1_000_000_000
    var whole: Int64
    var billionths: Int64

    init(billionths: Int64) {
        whole = billionths / Self.one
        self.billionths = billionths % Self.one
    }

    init?(_ text: String) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let decimals = parts.count == 2 ? parts[1] : "0"
        guard let whole = Self.digits(parts[0]), (1...9).contains(decimals.count), let fraction = Self.digits(decimals) else { return nil }
        self.whole = whole
        billionths = (decimals.count..<9).reduce(fraction) { value, _ in value * 10 }
    }

    /// The product, rounded down to a whole number; nil beyond 64 bits.
    func times(_ factor: Int64) -> Int64? {
        let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
        // The fraction is below one, so its product with the factor is below the factor.
        let (high, low) = billionths.multipliedFullWidth(by: factor)
        let (sum, carry) = product.addingReportingOverflow(Self.one.dividingFullWidth((high, low)).quotient)
        return overflow || carry ? nil : sum
    }

    var description: String {
        guard billionths != 0 else { return String(whole) }
        let digits = String(billionths)
        var decimals = String(repeating: "0", count: 9 - digits.count) + digits
        while decimals.last == "0" { decimals.removeLast() }
        return "\(whole).\(decimals)"
    }

    private static func digits(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (48...57).contains($0) } ? Int64(text) : nil
    }
}

/// A setting with a closed list of values is an enum of them.
extension RawRepresentable where Self: CaseIterable & ConfigurationValue, RawValue == String {
    public static var typeName: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        let names = Self.allCases.map(\.rawValue)
        guard let text = node.scalar?.text, let value = Self(rawValue: text) else {
            var mistake = ConfigurationMistake(
                "must be \(Self.typeName), not \(node.scalar.map { "'\($0.text)'" } ?? node.kind)", mark: node.mark)
            if let text = node.scalar?.text, let near = nearest(to: text, among: names) { mistake.what += "; did you mean '\(near)'?" }
            throw mistake
        }
        self = value
    }

    public var node: YAMLNode { .string(rawValue) }
}

extension Configuration.Listener.Face: ConfigurationValue {}
extension Configuration.Node.Role: ConfigurationValue {}
extension Configuration.Store.Kind: ConfigurationValue {}
extension Configuration.Log.Format: ConfigurationValue {}
extension Configuration.Cache.SharedKind: ConfigurationValue {}
extension Configuration.Log.Level: ConfigurationValue {}

extension Optional: ConfigurationValue where Wrapped: ConfigurationValue {
    public static var typeName: String { Wrapped.typeName }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) { self = node.isNull ? nil : try Wrapped(node) }

    public var node: YAMLNode { self?.node ?? .null }
    public static func node(fromText text: String) -> YAMLNode { Wrapped.node(fromText: text) }
}

extension Array: ConfigurationValue where Element: ConfigurationValue {
    public static var typeName: String { "a list (each \(Element.typeName))" }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard case .sequence(let items) = node.content else { throw Self.mistake(node) }
        var mistakes = ConfigurationMistakes()
        let values = items.compactMap { item in mistakes.attempt { () throws(ConfigurationMistake) in try Element(item) } }
        try mistakes.check()
        self = values
    }

    public var node: YAMLNode { YAMLNode(.sequence(map(\.node))) }

    /// Separated by commas.
    public static func node(fromText text: String) -> YAMLNode {
        YAMLNode(.sequence(text.split(separator: ",").map { Element.node(fromText: trimmed($0)) }))
    }
}

/// Without spaces at both ends.
func trimmed(_ text: some StringProtocol) -> String {
    String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
}
