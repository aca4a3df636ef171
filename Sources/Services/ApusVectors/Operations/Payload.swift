internal import ApusTypes
internal import ApusVectorIndex

/// Payloads are JSON objects without white space, kept as bytes.
enum Payload {
    /// Objects and arrays in each other, at most: what a parser of JSON reads by default.
    static let deepest = 63

    /// Throws `request.invalid` for anything but a JSON object without white space around it, and for one that would lie too deep below
    /// `steps` steps of a path.
    static func check(_ payload: [UInt8], below steps: Int = 0, field: String) throws(ApusError) {
        guard try JSONDocument(parsing: payload).root.kind == .object, payload.first == UInt8(ascii: "{") else {
            throw ApusError(.requestInvalid, "'\(field)' is not a JSON object", context: ["field": field])
        }
        guard steps == 0 || steps + depth(of: payload) <= deepest else {
            throw ApusError(
                .requestInvalid, "'\(field)' would lie more than \(deepest) levels deep in the payload", context: ["field": field])
        }
    }

    /// How deep objects and arrays lie in each other in JSON text.
    static func depth(of text: some Sequence<UInt8>) -> Int {
        var (depth, deepest) = (0, 0)
        var (isString, isEscaped) = (false, false)
        for byte in text {
            if isEscaped {
                isEscaped = false
            } else if isString {
                isEscaped = byte == UInt8(ascii: "\\")
                isString = byte != UInt8(ascii: "\"")
            } else {
                switch byte {
                case UInt8(ascii: "\""): isString = true
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    depth += 1
                    deepest = max(deepest, depth)
                case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
                default: break
                }
            }
        }
        return deepest
    }

    /// The members of `change` put over those of `payload`. A payload that cannot be read stays as it is.
    static func merged(_ payload: UnsafeRawBufferPointer, with change: UnsafeRawBufferPointer?) -> [UInt8] {
        guard var object = members(payload), let change = members(change) else { return Array(payload) }
        for (key, value) in change { object[key] = value }
        return JSONValue.object(object).serialized()
    }

    /// The payload without the members that a JSON array of strings names; nil if nothing is left.
    static func removing(_ names: UnsafeRawBufferPointer?, from payload: UnsafeRawBufferPointer) -> [UInt8]? {
        guard var object = members(payload) else { return Array(payload) }
        for name in parsed(names)?.asArray ?? [] { if let name = name.asString { object[name] = nil } }
        return object.isEmpty ? nil : JSONValue.object(object).serialized()
    }

    /// None of an empty payload; nil for what is no payload.
    static func members(_ bytes: UnsafeRawBufferPointer?) -> JSONObject? {
        guard let bytes, !bytes.isEmpty else { return JSONObject() }
        return parsed(bytes)?.asObject
    }

    static func parsed(_ bytes: UnsafeRawBufferPointer?) -> JSONValue? {
        guard let bytes, !bytes.isEmpty else { return nil }
        do { return try JSONValue(parsing: Array(bytes)) } catch { return nil }
    }
}

extension PayloadChange {
    /// Throws like `Payload.check`.
    func check(field: String) throws(ApusError) {
        switch self {
        case .replace(let payload), .merge(let payload): try Payload.check(payload, field: field)
        case .assign(let payload, let path): try Payload.check(payload, below: path?.steps.count ?? 0, field: field)
        case .remove, .removePaths, .clear: break
        }
    }
}
