public import ApusTypes

/// One line of the log, before it has a form.
public struct LogLine: Sendable {
    public var level: LogLevel
    public var area: String
    public var message: String
    public var metadata: [String: String]

    /// Keys of the line's own in JSON.
    private static let ownKeys: Set<String> = ["time", "level", "area", "message"]

    /// A key of `metadata` that is one of the line's own (`time`, `level`, `area`, `message`) becomes `field_…`: readers of JSON take one of two
    /// members of the same name, and each another one.
    public init(level: LogLevel, area: String, message: String, metadata: [String: String]) {
        self.level = level
        self.area = area
        self.message = message
        self.metadata = metadata
        for (key, value) in metadata where Self.ownKeys.contains(key) {
            self.metadata[key] = nil
            self.metadata["field_" + key] = value
        }
    }

    /// `10:05:30.123 warning catalog  the catalog did not answer host=127.0.0.1`
    public func text(at time: WallTime) -> String { "\(time.description.dropFirst(11).dropLast()) \(words)\n" }

    /// The line without its time and its end.
    var words: String {
        "\(level) \(area): \(message)" + metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.quoted($0.value))" }.joined()
    }

    /// One JSON object on one line, metadata as members beside `time`, `level`, `area`, `message`.
    public func json(at time: WallTime) -> String {
        var text = "{\"time\":\"\(time)\",\"level\":\"\(level)\",\"area\":\(Self.escaped(area)),\"message\":\(Self.escaped(message))"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { text += ",\(Self.escaped(key)):\(Self.escaped(value))" }
        return text + "}\n"
    }

    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 32 && $0 != 34 && $0 != 61 && $0 != 92 && $0 != 127 }
        return isPlain ? value : escaped(value)
    }

    private static func escaped(_ value: String) -> String {
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case _ where scalar.value < 32 || scalar.value == 127:
                text += "\\u00" + hexadecimal([UInt8(scalar.value)])
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
