internal import ApusGraphQL
internal import ApusTypes

/// A value of an argument as the planner sees it.
///
/// The value of a variable is a parameter of the statement, so that a plan serves all values. Where the planner has to know it (`asString` and
/// the others), the look is recorded, and the plan serves requests with the same value alone.
indirect enum PlanValue {
    case known(JSONValue)
    case variable(Int, PlanningRecord)
    /// A part of the identity of who asks.
    case identity(String)
    case list([PlanValue])
    case object([(key: String, value: PlanValue)])

    /// `json` has marks where variables are.
    init(_ json: JSONValue, _ record: PlanningRecord) {
        switch json {
        case .object(let members):
            if let number = RequestValues.number(of: json) {
                self = .variable(number, record)
            } else {
                self = .object(members.map { ($0, PlanValue($1, record)) })
            }
        case .array(let elements): self = .list(elements.map { PlanValue($0, record) })
        default: self = .known(json)
        }
    }

    var isNull: Bool { if case .known(.null) = self { true } else { false } }

    // MARK: Looks

    /// The value itself.
    var json: JSONValue {
        switch self {
        case .known(let value): value
        case .variable(let number, let record): record.look(at: number)
        // Placeholders stand in values of the schema's author and of permissions, where nothing is looked at.
        case .identity: .null
        case .list(let elements): .array(elements.map(\.json))
        case .object(let members): .object(JSONObject(members.map { ($0.key, $0.value.json) }))
        }
    }

    var asString: String? { json.asString }
    var asBool: Bool? { json.asBool }
    var asInteger: Int64? { json.asInteger }

    var asArray: [PlanValue]? {
        switch self {
        case .list(let elements): elements
        case .variable: json.asArray?.map { .known($0) }
        case .known, .identity, .object: nil
        }
    }

    /// Members of an input object, which are no look: they are part of the shape.
    var asObject: PlanObject? {
        switch self {
        case .object(let members): PlanObject(members)
        case .variable: json.asObject.map { PlanObject($0.map { ($0.key, .known($0.value)) }) }
        case .known, .identity, .list: nil
        }
    }

    subscript(key: String) -> PlanValue? { asObject?[key] }

    /// Whether it holds nothing of a variable or the identity.
    var isKnown: Bool {
        switch self {
        case .known: true
        case .variable, .identity: false
        case .list(let elements): elements.allSatisfy(\.isKnown)
        case .object(let members): members.allSatisfy(\.value.isKnown)
        }
    }
}

/// The members of an input object, in the order of the request.
struct PlanObject: Sequence, ExpressibleByDictionaryLiteral {
    private(set) var members: [(key: String, value: PlanValue)]

    init(_ members: [(key: String, value: PlanValue)] = []) { self.members = members }
    init(dictionaryLiteral elements: (String, PlanValue)...) { members = elements.map { ($0, $1) } }
    init(_ json: JSONObject, _ record: PlanningRecord) { members = json.map { ($0.key, PlanValue($0.value, record)) } }

    var isEmpty: Bool { members.isEmpty }

    /// Setting nil removes the member.
    subscript(key: String) -> PlanValue? {
        get { members.first { $0.key == key }?.value }
        set {
            let place = members.firstIndex { $0.key == key }
            switch (place, newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil): members.remove(at: place)
            case (nil, let value?): members.append((key, value))
            case (nil, nil): break
            }
        }
    }

    func makeIterator() -> IndexingIterator<[(key: String, value: PlanValue)]> { members.makeIterator() }
}
