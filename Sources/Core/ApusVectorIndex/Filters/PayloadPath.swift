public import ApusTypes

/// Where a value is in a payload: steps from the outside in.
///
/// There are two dialects. Names joined by dots look into arrays by themselves: `tags.name` is the name of every tag. A JSON path
/// (Qdrant's) says so: `tags[].name` every tag's, `tags[0].name` the first one's, `"a.b"` a member whose name has a dot.
public struct PayloadPath: Sendable, Hashable, CustomStringConvertible {
    public enum Step: Sendable, Hashable {
        case member(String)
        /// The element of that number, from 0.
        case element(Int)
        case everyElement
    }

    public let steps: [Step]
    /// As it was written.
    public let description: String
    /// Most steps of a path that a request may name: what follows a path may take a turn for each of its steps.
    public static let mostSteps = 32

    /// Whether a member is looked for in each element of an array that stands in its way.
    let searchesArrays: Bool
    /// The UTF-8 of each step's name; empty for steps without.
    let encodedNames: [[UInt8]]

    /// Splits at dots; `tags[]` is the same as `tags`, since arrays are always searched.
    public init(_ text: String) {
        let names = text.split(separator: ".", omittingEmptySubsequences: false).map {
            $0.hasSuffix("[]") ? String($0.dropLast(2)) : String($0)
        }
        self.init(names.map { .member($0) }, description: text, searchesArrays: true)
    }

    /// Reads a JSON path: names of letters, digits, `_` and `-`, or anything in double quotes, joined by dots, each with any number of
    /// `[]` and `[3]` behind it. Throws `request.invalid`, also for more than `mostSteps` steps.
    public init(jsonPath text: String, mostSteps: Int = PayloadPath.mostSteps) throws(ApusError) {
        var reader = PathReader(text, mostSteps)
        self.init(try reader.steps(), description: text, searchesArrays: false)
    }

    /// Through objects only.
    init(members names: [String]) {
        self.init(names.map { .member($0) }, description: names.joined(separator: "."), searchesArrays: false)
    }

    init(_ steps: [Step], description: String, searchesArrays: Bool) {
        self.steps = steps
        self.description = description
        self.searchesArrays = searchesArrays
        encodedNames = steps.map { step in
            if case .member(let name) = step { Array(name.utf8) } else { [] }
        }
    }

    public var names: [String] { steps.compactMap { if case .member(let name) = $0 { name } else { nil } } }

    /// The path of the array, where this one says "every element of it".
    public var ofArray: PayloadPath {
        guard steps.count > 1, steps.last == .everyElement else { return self }
        return PayloadPath(Array(steps.dropLast()), description: String(description.dropLast(2)), searchesArrays: searchesArrays)
    }
}

private struct PathReader {
    private let text: String
    private let mostSteps: Int
    private var rest: Substring.UnicodeScalarView

    init(_ text: String, _ mostSteps: Int) {
        self.text = text
        self.mostSteps = mostSteps
        rest = text[...].unicodeScalars
    }

    mutating func steps() throws(ApusError) -> [PayloadPath.Step] {
        var steps: [PayloadPath.Step] = []
        repeat {
            steps.append(.member(try name()))
            while rest.first == "[", steps.count <= mostSteps { steps.append(try bracket()) }
            guard steps.count <= mostSteps else {
                throw ApusError(
                    .requestInvalid, "'\(text.prefix(100))…' has more steps than a path may have", hint: "\(mostSteps) are the most",
                    context: ["field": "key"])
            }
            guard let next = rest.popFirst() else { return steps }
            guard next == "." else { throw invalid }
        } while true
    }

    private mutating func name() throws(ApusError) -> String {
        if rest.first == "\"" {
            rest.removeFirst()
            guard let end = rest.firstIndex(of: "\"") else { throw invalid }
            defer { rest = rest[rest.index(after: end)...] }
            return String(rest[..<end])
        }
        let end = rest.firstIndex { !($0.isWordPart || $0 == "_" || $0 == "-") } ?? rest.endIndex
        guard end != rest.startIndex else { throw invalid }
        defer { rest = rest[end...] }
        return String(rest[..<end])
    }

    private mutating func bracket() throws(ApusError) -> PayloadPath.Step {
        rest.removeFirst()
        guard let end = rest.firstIndex(of: "]") else { throw invalid }
        defer { rest = rest[rest.index(after: end)...] }
        let number = rest[..<end]
        if number.isEmpty { return .everyElement }
        guard number.allSatisfy({ ("0"..."9").contains($0) }), let index = Int(String(number)) else { throw invalid }
        return .element(index)
    }

    private var invalid: ApusError {
        ApusError(
            .requestInvalid, "'\(text)' is not a JSON path", hint: #"like key, a.b, list[].key, list[0] or "key with.dots""#,
            context: ["field": "key"])
    }
}
