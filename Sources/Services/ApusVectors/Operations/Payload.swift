internal import ApusTypes

/// Payloads are JSON objects without white space, kept as bytes.
enum Payload {
    /// Throws `request.invalid` for anything but a JSON object without white space around it.
    static func check(_ payload: [UInt8], field: String) throws(ApusError) {
        guard try JSONDocument(parsing: payload).root.kind == .object, payload.first == UInt8(ascii: "{") else {
            throw ApusError(.requestInvalid, "'\(field)' is not a JSON object", context: ["field": field])
        }
    }

    /// The members of `change` put over those of `payload`. Both were checked when they were written, so what does not parse can only be
    /// an empty payload, and counts as one.
    static func merged(_ payload: UnsafeRawBufferPointer, with change: UnsafeRawBufferPointer?) -> [UInt8] {
        var object = members(payload)
        for (key, value) in members(change) { object[key] = value }
        return JSONValue.object(object).serialized()
    }

    /// The payload without the members that a JSON array of strings names; nil if nothing is left.
    static func removing(_ names: UnsafeRawBufferPointer?, from payload: UnsafeRawBufferPointer) -> [UInt8]? {
        var object = members(payload)
        for name in parsed(names)?.asArray ?? [] { if let name = name.asString { object[name] = nil } }
        return object.isEmpty ? nil : JSONValue.object(object).serialized()
    }

    static func members(_ bytes: UnsafeRawBufferPointer?) -> JSONObject { parsed(bytes)?.asObject ?? JSONObject() }

    static func parsed(_ bytes: UnsafeRawBufferPointer?) -> JSONValue? {
        guard let bytes, !bytes.isEmpty else { return nil }
        do { return try JSONValue(parsing: Array(bytes)) } catch { return nil }
    }
}
