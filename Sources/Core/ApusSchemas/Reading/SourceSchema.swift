/// What the schema of one data source says, read and checked by itself. What it says about objects of others is checked by `DataModel`.
public struct SourceSchema: Sendable {
    public let source: SourceDescription
    var objects: [DataObject] = []
    var structures: [Structure] = []
    var enumerations: [Enumeration] = []
    var inputs: [InputType] = []
    var functions: [DataFunction] = []
    var references: [Reference] = []
    /// Fields that an extension adds to objects of other sources.
    var additions: [(object: String, fields: [DataField], place: SchemaProblem.Place)] = []
    /// Where its types stand, for what is found to be wrong later.
    var places: [String: SchemaProblem.Place] = [:]

    init(source: SourceDescription) { self.source = source }

    /// Of all types that it declares, in the API.
    var typeNames: [String] { objects.map(\.name) + structures.map(\.name) + enumerations.map(\.name) + inputs.map(\.name) }
}

public struct Enumeration: Sendable {
    public let name: String
    public let source: String
    public let description: String?
    public let values: [String]
}

/// An input type that a view's or function's arguments use.
public struct InputType: Sendable {
    public let name: String
    public let source: String
    public let description: String?
    public let members: [Parameter]
}
