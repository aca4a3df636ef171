internal import ApusTypes
internal import ApusVectorIndex

/// Changes below the top level of a payload. All are defined for any payload and any change, so that every node comes to the same bytes: a
/// change that would make a payload deeper than one can be does nothing, and so none of these functions calls itself more often than that.
extension Payload {
    /// `change` is `[path, object]`: the object's members are put over those of what is at the path, null ones are removed. What is missing
    /// on the way is made; what is of another kind gives way. An empty path is the payload itself.
    static func assigning(_ payload: UnsafeRawBufferPointer, _ change: UnsafeRawBufferPointer?) -> [UInt8] {
        guard let parts = parsed(change)?.asArray, parts.count == 2, let object = parts[1].asObject, let text = parts[0].asString,
            let steps = steps(text), let change, steps.count + depth(of: change) - 1 <= deepest, let members = members(payload)
        else { return Array(payload) }
        return assign(object, at: steps[...], in: .object(members)).serialized()
    }

    /// `paths` is an array of strings: what is at each of them is removed. `list[]` empties the list; `list[3]` removes nothing, because
    /// twice the same must be the same as once.
    static func removing(paths: UnsafeRawBufferPointer?, from payload: UnsafeRawBufferPointer) -> [UInt8]? {
        guard let members = members(payload) else { return Array(payload) }
        var value = JSONValue.object(members)
        for path in parsed(paths)?.asArray ?? [] {
            guard let text = path.asString, let steps = steps(text), !steps.isEmpty else { continue }
            value = remove(steps[...], from: value)
        }
        return value.asObject?.isEmpty ?? true ? nil : value.serialized()
    }

    /// Nil for what is no path, or leads deeper than a payload is. Logs may hold longer ones than requests may name today.
    private static func steps(_ text: String) -> [PayloadPath.Step]? {
        if text.isEmpty { return [] }
        do { return try PayloadPath(jsonPath: text, mostSteps: deepest).steps } catch { return nil }
    }

    private static func assign(_ object: JSONObject, at steps: ArraySlice<PayloadPath.Step>, in value: JSONValue) -> JSONValue {
        guard let step = steps.first else {
            var target = value.asObject ?? JSONObject()
            for (key, member) in object { target[key] = member.isNull ? Optional.none : member }
            return .object(target)
        }
        let rest = steps.dropFirst()
        switch step {
        case .member(let name):
            var target = value.asObject ?? JSONObject()
            target[name] = assign(object, at: rest, in: target[name] ?? .object(JSONObject()))
            return .object(target)
        case .element(let index):
            guard var elements = value.asArray else { return .array([]) }
            if index < elements.count { elements[index] = assign(object, at: rest, in: elements[index]) }
            return .array(elements)
        case .everyElement:
            return .array((value.asArray ?? []).map { assign(object, at: rest, in: $0) })
        }
    }

    private static func remove(_ steps: ArraySlice<PayloadPath.Step>, from value: JSONValue) -> JSONValue {
        guard let step = steps.first else { return value }
        let rest = steps.dropFirst()
        switch (step, value) {
        case (.member(let name), .object(var target)):
            if rest.isEmpty { target[name] = nil } else if let member = target[name] { target[name] = remove(rest, from: member) }
            return .object(target)
        case (.element(let index), .array(var elements)):
            if !rest.isEmpty, index < elements.count { elements[index] = remove(rest, from: elements[index]) }
            return .array(elements)
        case (.everyElement, .array(let elements)):
            return .array(rest.isEmpty ? [] : elements.map { remove(rest, from: $0) })
        default: return value
        }
    }
}
