/// A column's type, in the terms of Arrow's columnar format 1.5 (https://arrow.apache.org/docs/format/Columnar.html).
public indirect enum ArrowType: Sendable, Hashable {
    case boolean, int32, int64, double, text, binary
    /// Days since 1970-01-01.
    case date
    /// Microseconds of a day.
    case time
    /// Microseconds since 1970-01-01 without a zone; with one they are UTC's, told in that zone.
    case timestamp(zone: String?)
    /// Months, days and nanoseconds.
    case interval
    case list(ArrowType)
    case structure([ArrowField])
}

/// A named column. All of them may hold nulls.
public struct ArrowField: Sendable, Hashable {
    public var name: String
    public var type: ArrowType
    /// The name of an extension type, such as `geoarrow.wkb`, and what it says of itself.
    public var `extension`: (name: String, metadata: String)?

    public init(_ name: String, _ type: ArrowType, extension: (name: String, metadata: String)? = nil) {
        self.name = name
        self.type = type
        self.extension = `extension`
    }

    public static func == (left: ArrowField, right: ArrowField) -> Bool {
        left.name == right.name && left.type == right.type && left.extension?.name == right.extension?.name
            && left.extension?.metadata == right.extension?.metadata
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(type)
    }
}
