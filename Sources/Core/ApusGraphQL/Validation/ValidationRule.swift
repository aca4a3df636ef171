/// The rules of the specification's section 5, by the names that graphql-js gives them, in the order in which they are asked.
public enum ValidationRule: UInt8, Sendable, Hashable, CaseIterable {
    // Operations
    case executableDefinitions
    case uniqueOperationNames
    case loneAnonymousOperation
    case singleFieldSubscriptions
    case knownTypeNames
    case fragmentsOnCompositeTypes
    case variablesAreInputTypes
    case scalarLeafs
    case fieldsOnCorrectType
    case uniqueFragmentNames
    case knownFragmentNames
    case noUnusedFragments
    case possibleFragmentSpreads
    case noFragmentCycles
    case uniqueVariableNames
    case noUndefinedVariables
    case noUnusedVariables
    case knownDirectives
    case uniqueDirectivesPerLocation
    case knownArgumentNames
    case uniqueArgumentNames
    case valuesOfCorrectType
    case providedRequiredArguments
    case variablesInAllowedPosition
    case overlappingFieldsCanBeMerged
    case uniqueInputFieldNames
    // The schema language
    case loneSchemaDefinition
    case uniqueOperationTypes
    case uniqueTypeNames
    case uniqueEnumValueNames
    case uniqueFieldDefinitionNames
    case uniqueArgumentDefinitionNames
    case uniqueDirectiveNames
    case possibleTypeExtensions
    case knownArgumentNamesOnDirectives
    case providedRequiredArgumentsOnDirectives
    // Not in the specification: for those who ask
    case noDeprecated
    case noSchemaIntrospection

    /// As graphql-js calls it, without `Rule`: `ScalarLeafs`.
    public var name: String {
        let text = "\(self)"
        let name = text.prefix(1).uppercased() + text.dropFirst()
        return self == .noDeprecated || self == .noSchemaIntrospection ? name + "Custom" : name
    }

    public init?(name: String) {
        guard let rule = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = rule
    }

    /// For operations.
    public static let specified = Set(allCases[..<(allCases.firstIndex(of: .loneSchemaDefinition) ?? 0)])
    /// For texts in the schema language.
    public static let forSchemas: Set<ValidationRule> = [
        .loneSchemaDefinition, .uniqueOperationTypes, .uniqueTypeNames, .uniqueEnumValueNames, .uniqueFieldDefinitionNames,
        .uniqueArgumentDefinitionNames, .uniqueDirectiveNames, .knownTypeNames, .knownDirectives, .uniqueDirectivesPerLocation,
        .possibleTypeExtensions, .knownArgumentNamesOnDirectives, .uniqueArgumentNames, .uniqueInputFieldNames,
        .providedRequiredArgumentsOnDirectives,
    ]
}
