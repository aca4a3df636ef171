public import ApusTypes

/// A directive where it was applied in a schema's text.
public struct AppliedDirective: Sendable {
    public let name: String
    /// Coerced by the directive's definition, with defaults; without a definition, or where a value does not fit, as written.
    public let arguments: JSONObject

    public subscript(argument: String) -> JSONValue? { arguments[argument] }
}

/// Something that directives are applied to.
public protocol DirectiveTarget {
    var appliedPlaces: DirectivePlaces { get }
}

/// Where the directives of an element stand in the schema's texts.
public struct DirectivePlaces: Sendable {
    let origins: [Origin]
}

extension NamedType: DirectiveTarget { public var appliedPlaces: DirectivePlaces { DirectivePlaces(origins: origins) } }
extension FieldDefinition: DirectiveTarget { public var appliedPlaces: DirectivePlaces { DirectivePlaces(origins: [origin]) } }
extension InputValue: DirectiveTarget { public var appliedPlaces: DirectivePlaces { DirectivePlaces(origins: [origin]) } }
extension EnumValue: DirectiveTarget { public var appliedPlaces: DirectivePlaces { DirectivePlaces(origins: [origin]) } }
extension GraphQLSchema: DirectiveTarget { public var appliedPlaces: DirectivePlaces { DirectivePlaces(origins: origins) } }

extension GraphQLSchema {
    /// The directives applied to a type (with its extensions), field, argument, input field, enum value or the schema, in the order of the
    /// texts; those named `name` alone when it is given. Read from the texts with each call.
    public func directives(on target: some DirectiveTarget, named name: String? = nil) -> [AppliedDirective] {
        target.appliedPlaces.origins.flatMap { origin in
            let document = documents[origin.document]
            return document.directives(of: origin.node).compactMap { node -> AppliedDirective? in
                let found = document.requiredName(of: node)
                guard name == nil || found == name else { return nil }
                return AppliedDirective(name: found, arguments: directiveArguments(found, node, document))
            }
        }
    }

    private func directiveArguments(_ name: String, _ node: NodeID, _ document: GraphQLDocument) -> JSONObject {
        if let definition = directive(name),
            let arguments = try? arguments(definition.arguments, of: node, in: document, variables: [:])
        {
            return arguments
        }
        return JSONObject(
            document.arguments(of: node).map { argument in
                let literal = Literal(document: document, node: document.value(of: argument), variables: [:])
                return (document.requiredName(of: argument), literal.untyped)
            })
    }
}
