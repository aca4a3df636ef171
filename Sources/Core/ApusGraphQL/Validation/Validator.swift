extension GraphQLSchema {
    /// What is wrong with a document of operations: nothing, or errors in the order of the text with the messages of graphql-js.
    /// After `limit` errors one more says that there are more.
    public func problems(
        with document: GraphQLDocument, rules: Set<ValidationRule> = ValidationRule.specified, limit: Int = 100
    ) -> [GraphQLError] {
        let validator = Validator(document, schema: self, rules: rules, limit: limit)
        return validator.problems()
    }
}

extension GraphQLDocument {
    /// What is wrong with a text in the schema language, alone or as an extension of `schema`.
    public func schemaProblems(
        extending schema: GraphQLSchema? = nil, rules: Set<ValidationRule> = ValidationRule.forSchemas
    ) -> [GraphQLError] {
        Validator(self, extending: schema, rules: rules).problems()
    }
}

/// One visit of a document, in which every rule is asked at each node: the errors come in the order of the text.
final class Validator {
    let document: GraphQLDocument
    /// Nil for a text in the schema language that extends nothing.
    let schema: GraphQLSchema?
    /// A bit for each rule: what is asked at each node must cost nothing.
    private let rules: UInt64
    let limit: Int
    /// Nil for texts in the schema language, which have no types at places.
    let tracker: TypeTracker?
    var errors: [Problem] = []
    /// The nodes around the present one, the document first.
    private(set) var ancestors: [NodeID] = []

    /// An error whose places are looked up when all are known.
    struct Problem {
        var message: String
        var nodes: [NodeID]
    }

    // What rules remember.
    lazy var names = NameTables(document)
    /// Types that the document itself defines; the last one of a name.
    lazy var typeDefinitions = Dictionary(
        document.definitions.lazy.filter { [document] in document.kind(of: $0).isTypeDefinition }
            .map { [document] in (document.requiredName(of: $0), $0) }, uniquingKeysWith: { $1 })
    lazy var graph = FragmentGraph(document, names)
    lazy var knownDirectives = DirectiveTable(document, schema)
    var usages = VariableUsages()
    var definitions = DefinitionTables()
    /// Values below this node are not looked at: their parent was wrong already.
    var valuesSkippedBefore: Int32 = 0
    lazy var overlaps = OverlappingFields(self)

    init(_ document: GraphQLDocument, schema: GraphQLSchema, rules: Set<ValidationRule>, limit: Int) {
        self.document = document
        self.schema = schema
        self.rules = Self.bits(rules)
        self.limit = limit
        tracker = TypeTracker(schema: schema, document: document)
    }

    init(_ document: GraphQLDocument, extending schema: GraphQLSchema?, rules: Set<ValidationRule>) {
        self.document = document
        self.schema = schema
        self.rules = Self.bits(rules)
        tracker = nil
        limit = 100
    }

    func isAsked(_ rule: ValidationRule) -> Bool { rules & Self.bit(rule) != 0 }

    private static func bits(_ rules: Set<ValidationRule>) -> UInt64 { rules.reduce(0) { $0 | bit($1) } }
    private static func bit(_ rule: ValidationRule) -> UInt64 { 1 << UInt64(rule.rawValue) }

    func report(_ message: String, _ nodes: [NodeID]) { errors.append(Problem(message: message, nodes: nodes)) }
    func report(_ message: String, _ node: NodeID) { report(message, [node]) }

    func problems() -> [GraphQLError] {
        visit()
        insertVariableErrors()
        let told = errors.prefix(limit)
        let places = document.source.locations(at: told.lazy.flatMap(\.nodes).map { self.document.range(of: $0).lowerBound })
        let found = told.map { problem in
            GraphQLError(problem.message, locations: problem.nodes.compactMap { places[document.range(of: $0).lowerBound] })
        }
        guard errors.count > limit else { return found }
        return found + [GraphQLError("Too many validation errors, error limit reached. Validation aborted.")]
    }

    private func visit() {
        let nodes = document.nodes
        var index: Int32 = 0
        while index < nodes.count, errors.count <= limit {
            while let last = ancestors.last, nodes[last.offset].next <= index {
                ancestors.removeLast()
                leave(last, nodes[last.offset].kind)
            }
            let kind = nodes[Int(index)].kind
            let node = NodeID(index: index)
            if kind != .name {
                tracker?.enter(node, kind)
                enter(node, kind)
                if nodes[Int(index)].next > index + 1 { ancestors.append(node) } else { leave(node, kind) }
            }
            index += 1
        }
        while errors.count <= limit, let last = ancestors.popLast() { leave(last, nodes[last.offset].kind) }
    }

    private func enter(_ node: NodeID, _ kind: NodeKind) {
        switch kind {
        case .document:
            if isAsked(.executableDefinitions) { checkExecutableDefinitions() }
        case .operationDefinition:
            if isAsked(.uniqueOperationNames) { checkUniqueOperationName(node) }
            if isAsked(.loneAnonymousOperation) { checkLoneAnonymousOperation(node) }
            if isAsked(.singleFieldSubscriptions) { checkSingleFieldSubscription(node) }
            if isAsked(.uniqueVariableNames) { checkUniqueVariableNames(node) }
            usages.begin(node)
        case .fragmentDefinition:
            if isAsked(.fragmentsOnCompositeTypes) { checkCondition(of: node, isDefinition: true) }
            if isAsked(.uniqueFragmentNames) { checkUniqueFragmentName(node) }
            if isAsked(.noFragmentCycles) { checkCycles(from: node) }
            usages.begin(node)
        case .variableDefinition:
            if isAsked(.variablesAreInputTypes) { checkVariableType(node) }
        case .variable: useVariable(node)
        case .selectionSet:
            if isAsked(.overlappingFieldsCanBeMerged) { overlaps.check(node, tracker?.parent) }
        case .field: enterField(node)
        case .inlineFragment:
            if isAsked(.fragmentsOnCompositeTypes) { checkCondition(of: node, isDefinition: false) }
            if isAsked(.possibleFragmentSpreads) { checkPossibleInlineFragment(node) }
        case .fragmentSpread:
            if isAsked(.knownFragmentNames) { checkKnownFragment(node) }
            if isAsked(.possibleFragmentSpreads) { checkPossibleSpread(node) }
        case .namedType:
            if isAsked(.knownTypeNames) { checkKnownType(node) }
        case .directive:
            if isAsked(.knownDirectives) { checkKnownDirective(node) }
            if isAsked(.knownArgumentNames) || isAsked(.knownArgumentNamesOnDirectives) { checkKnownDirectiveArguments(node) }
            if isAsked(.uniqueArgumentNames) { checkUniqueArguments(node) }
        case .argument:
            if isAsked(.knownArgumentNames) { checkKnownArgument(node) }
            if isAsked(.noDeprecated) { checkDeprecatedArgument(node) }
        case _ where kind.isValue || kind == .objectField: enterValue(node, kind)
        default: enterTypeSystem(node, kind)
        }
        if isAsked(.uniqueDirectivesPerLocation) { checkUniqueDirectives(node, kind) }
    }

    private func enterField(_ node: NodeID) {
        if isAsked(.scalarLeafs) { checkScalarLeaf(node) }
        if isAsked(.fieldsOnCorrectType) { checkField(node) }
        if isAsked(.uniqueArgumentNames) { checkUniqueArguments(node) }
        if isAsked(.noDeprecated) { checkDeprecatedField(node) }
        if isAsked(.noSchemaIntrospection) { checkIntrospectionField(node) }
    }

    private func enterValue(_ node: NodeID, _ kind: NodeKind) {
        if isAsked(.valuesOfCorrectType), node.index >= valuesSkippedBefore { checkValue(node, kind) }
        if kind == .objectValue, isAsked(.uniqueInputFieldNames) { checkUniqueInputFields(node) }
        if isAsked(.noDeprecated) { checkDeprecatedValue(node, kind) }
    }

    private func leave(_ node: NodeID, _ kind: NodeKind) {
        switch kind {
        case .operationDefinition: usages.leaveOperation(errors.count)
        case .field:
            if isAsked(.providedRequiredArguments) { checkRequiredArguments(ofField: node) }
        case .directive:
            if isAsked(.providedRequiredArguments) || isAsked(.providedRequiredArgumentsOnDirectives) {
                checkRequiredArguments(ofDirective: node)
            }
        case .document:
            if isAsked(.noUnusedFragments) { checkUnusedFragments() }
        default: break
        }
        tracker?.leave(kind)
    }
}

/// Finds nodes of one name. Few are compared with each other, many through a table.
enum Duplicates {
    /// Groups of two or more nodes of one name, in the order of their first ones.
    static func groups(_ nodes: [NodeID], _ symbol: (NodeID) -> Symbol) -> [[NodeID]] {
        guard nodes.count > 1 else { return [] }
        var places: [Symbol: Int] = [:]
        var groups: [[NodeID]] = []
        for node in nodes {
            if let place = places[symbol(node)] {
                groups[place].append(node)
            } else {
                places[symbol(node)] = groups.count
                groups.append([node])
            }
        }
        return groups.filter { $0.count > 1 }
    }
}
