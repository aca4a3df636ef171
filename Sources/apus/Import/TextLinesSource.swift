internal import ApusTypes

/// Points from lines of JSON that hold a text each, for a collection that embeds them. The other members are the payload; the node adds
/// the text to it as `content`.
struct TextLinesSource: PointSource {
    private var lines: LineReader
    private let idField: String
    private let textField: String
    private var row = 0

    init(path: String, idField: String, textField: String) throws(ApusError) {
        lines = try LineReader(path: path)
        self.idField = idField
        self.textField = textField
    }

    /// The collection's provider decides.
    var dimension: Int? { nil }
    mutating func expect(dimension: Int) {}
    var rowCount: Int? { nil }
    var progress: Double { lines.file.size == 0 ? 1 : Double(lines.consumed) / Double(lines.file.size) }
    var fingerprint: String { "\(lines.file.size)@\(lines.file.modified)/\(idField)/\(textField)" }

    mutating func skip() throws(ApusError) -> Bool {
        guard try lines.next() != nil else { return false }
        row += 1
        return true
    }

    mutating func next() throws(ApusError) -> SourceRow? {
        guard let line = try lines.next() else { return nil }
        defer { row += 1 }
        let place = "\(lines.file.path):\(line.number)"
        do throws(ApusError) {
            let root = try JSONDocument(parsing: Array(line.bytes)).root
            guard let members = root.members else { return .bad(place: place, reason: "is not a JSON object") }
            guard let text = root[textField]?.string, text.contains(where: { !$0.isWhitespace }) else {
                return .bad(place: place, reason: "has no '\(textField)' with a text")
            }
            var id: PointIdentity = .integer(UInt64(row))
            if let found = root[idField] { id = try PointIdentity(found, of: idField) }
            var writer = JSONWriter(reserving: line.bytes.count + 64)
            writer.object { object in
                id.write(to: &object)
                object.member("text", text)
                object.key("payload")
                object.object { payload in
                    for (key, value) in members where key != idField && key != textField {
                        payload.key(key)
                        payload.raw(value.minified)
                    }
                }
            }
            return .point(place: place, EncodedPoint(json: writer.bytes))
        } catch { return .bad(place: place, reason: error.summary) }
    }
}
