public final class DirectiveDefinition: Sendable {
    public let name: String
    public let description: String?
    public let locations: [DirectiveLocation]
    public let arguments: [InputValue]
    public let isRepeatable: Bool
    let origin: Origin

    init(
        name: String, description: String?, locations: [DirectiveLocation], arguments: [InputValue], isRepeatable: Bool, origin: Origin
    ) {
        self.name = name
        self.description = description
        self.locations = locations
        self.arguments = arguments
        self.isRepeatable = isRepeatable
        self.origin = origin
    }

    public func argument(_ name: String) -> InputValue? { arguments.first { $0.name == name } }
    public var isSpecified: Bool { Prelude.directives.contains(name) }
}
