public import ApusTypes

extension GraphQLSchema {
    /// A value of an input type as a literal of the language, such as introspection tells defaults; nil when it is none of the type.
    public func literalText(_ value: JSONValue, as type: TypeReference) -> String? {
        if type.isNonNull { return value.isNull ? nil : literalText(value, as: type.unwrapped) }
        if value.isNull { return "null" }
        if type.isList {
            guard case .array(let elements) = value else { return literalText(value, as: type.unwrapped) }
            return "[" + elements.compactMap { literalText($0, as: type.unwrapped) }.joined(separator: ", ") + "]"
        }
        let named = named(type)
        switch (named.kind, value) {
        case (.inputObject, .object(let members)):
            let fields = named.inputFields.compactMap { field in
                members[field.name].flatMap { literalText($0, as: field.type) }.map { "\(field.name): \($0)" }
            }
            return "{" + fields.joined(separator: ", ") + "}"
        case (.inputObject, _): return nil
        case (.enumeration, .string(let name)): return name
        case (_, .string(let text)) where named.name == "ID" && Self.isInteger(text): return text
        default: return Self.untypedText(value)
        }
    }

    private static func untypedText(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): Printer.quoted(text)
        case .double(let number): Inspection.numberText(number)
        case .array(let elements): "[" + elements.map(untypedText).joined(separator: ", ") + "]"
        case .object(let members): "{" + members.map { "\($0.key): \(untypedText($0.value))" }.joined(separator: ", ") + "}"
        case .null, .bool, .integer, .unsigned: value.description
        }
    }

    /// `-?(0|[1-9][0-9]*)`
    private static func isInteger(_ text: String) -> Bool {
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        return digits.allSatisfy(\.isDigit) && (digits.count == 1 || (digits.count > 1 && digits.first != 0x30))
    }
}
