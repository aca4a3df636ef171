public import ApusGraphQL

/// What one schema has and another has not, as lines that a person reads: `+` new, `-` gone, `~` otherwise.
public struct SchemaDifference: Sendable, Hashable {
    public var lines: [String] = []
    public var isEmpty: Bool { lines.isEmpty }

    public init(from old: GraphQLSchema?, to new: GraphQLSchema) {
        let before = Dictionary((old?.types ?? []).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let after = Dictionary(new.types.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for name in Set(before.keys).union(after.keys).sorted() {
            switch (before[name], after[name]) {
            case (nil, let added?): lines.append("+ \(Self.word(added.kind)) \(name)")
            case (let gone?, nil): lines.append("- \(Self.word(gone.kind)) \(name)")
            case (let was?, let now?):
                guard let old else { continue }
                compare(Self.members(was, old), Self.members(now, new), of: name)
            default: break
            }
        }
    }

    private mutating func compare(_ before: [String: String], _ after: [String: String], of type: String) {
        for name in Set(before.keys).union(after.keys).sorted() where before[name] != after[name] {
            switch (before[name], after[name]) {
            case (nil, let now?): lines.append("+ \(type).\(name)\(now)")
            case (let was?, nil): lines.append("- \(type).\(name)\(was)")
            case (let was?, let now?): lines.append("~ \(type).\(name)\(was) -> \(now)")
            default: break
            }
        }
    }

    /// Fields with their arguments and types, values of enums.
    private static func members(_ type: NamedType, _ schema: GraphQLSchema) -> [String: String] {
        var members: [String: String] = [:]
        for field in type.fields {
            let arguments = field.arguments.map { "\($0.name): \(schema.text($0.type))" }.joined(separator: ", ")
            members[field.name] = (arguments.isEmpty ? "" : "(\(arguments))") + ": " + schema.text(field.type)
        }
        for field in type.inputFields { members[field.name] = ": " + schema.text(field.type) }
        for value in type.enumValues { members[value.name] = "" }
        return members
    }

    private static func word(_ kind: TypeKind) -> String {
        switch kind {
        case .scalar: "scalar"
        case .object: "type"
        case .interface: "interface"
        case .union: "union"
        case .enumeration: "enum"
        case .inputObject: "input"
        }
    }
}
