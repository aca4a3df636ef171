internal import ApusTypes

extension Invocation {
    /// One JSON document and a line's end on standard output.
    func printJSON(_ object: JSONObject) {
        terminal.print(String(decoding: JSONValue.object(object).serialized(), as: UTF8.self))
    }
}

/// An error as `--json` shows it.
struct ErrorDocument {
    let error: ApusError

    init(_ error: ApusError) { self.error = error }

    var json: [UInt8] {
        var body: JSONObject = ["code": .string(error.code.rawValue), "message": .string(error.summary)]
        if let hint = error.hint { body["hint"] = .string(hint) }
        return JSONValue.object(["error": .object(body)]).serialized()
    }
}
