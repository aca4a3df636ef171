internal import ApusTypes

/// Pieces of JSON that a plan holds: names and texts of the request.
enum JSONText {
    static func quoted(_ text: String) -> [UInt8] { JSONValue.string(text).serialized() }
}
