/// What a type promises by implementing an interface.
extension SchemaValidator {
    mutating func checkInterfaces(_ type: NamedType) {
        var seen: Set<TypeID> = []
        for id in type.interfaces {
            let interface = schema[id]
            guard interface.kind == .interface else {
                report(
                    "Type \(type.name) must only implement Interface types, it cannot implement \(interface.name).",
                    places(interface, in: type))
                continue
            }
            if id == type.id {
                report(
                    "Type \(type.name) cannot implement itself because it would create a circular reference.", places(interface, in: type))
            }
            guard seen.insert(id).inserted else {
                report("Type \(type.name) can only implement \(interface.name) once.", places(interface, in: type))
                continue
            }
            checkAncestors(type, interface)
            checkImplementation(type, interface)
        }
    }

    private mutating func checkAncestors(_ type: NamedType, _ interface: NamedType) {
        for id in interface.interfaces where !type.interfaces.contains(id) {
            let ancestor = schema[id]
            let message =
                id == type.id
                ? "Type \(type.name) cannot implement \(interface.name) because it would create a circular reference."
                : "Type \(type.name) must implement \(ancestor.name) because it is implemented by \(interface.name)."
            report(message, places(ancestor, in: interface) + places(interface, in: type))
        }
    }

    private mutating func checkImplementation(_ type: NamedType, _ interface: NamedType) {
        for expected in interface.fields {
            let promise = "\(interface.name).\(expected.name)"
            let name = "\(type.name).\(expected.name)"
            guard let field = type.field(expected.name) else {
                report("Interface field \(promise) expected but \(type.name) does not provide it.", [expected.origin] + type.origins)
                continue
            }
            if !schema.isSubtype(field.type, of: expected.type) {
                report(
                    "Interface field \(promise) expects type \(schema.text(expected.type)) but \(name) is type \(schema.text(field.type)).",
                    [typePlace(expected.origin), typePlace(field.origin)])
            }
            for argument in expected.arguments {
                guard let own = field.argument(argument.name) else {
                    report(
                        "Interface field argument \(promise)(\(argument.name):) expected but \(name) does not provide it.",
                        [argument.origin, field.origin])
                    continue
                }
                if own.type != argument.type {
                    report(
                        "Interface field argument \(promise)(\(argument.name):) expects type \(schema.text(argument.type)) but \(name)(\(argument.name):) is type \(schema.text(own.type)).",
                        [typePlace(argument.origin), typePlace(own.origin)])
                }
            }
            for argument in field.arguments where expected.argument(argument.name) == nil && schema.isRequired(argument) {
                report(
                    "Object field \(name) includes required argument \(argument.name) that is missing from the Interface field \(promise).",
                    [argument.origin, expected.origin])
            }
        }
    }
}
