internal import ApusTypes

/// What a value of a payload may be taken for.
public enum PayloadKind: String, Sendable, Hashable, CaseIterable {
    case integer, float, bool, text, datetime, geo, uuid
}

extension PayloadKind {
    /// What is asked for a value of the kind at a path; nil where no condition asks for that.
    func condition(at path: PayloadPath) -> Filter? {
        switch self {
        case .integer, .uuid: nil
        case .bool: .identical(path, [.bool(true), .bool(false)])
        case .float: .range(path, NumberRange(atLeast: -.greatestFiniteMagnitude))
        case .datetime: .timeRange(path, TimeRange())
        case .geo: .place(path, .circle(GeoPoint(latitude: 0, longitude: 0), radius: .infinity))
        case .text: .text(path, .prefix(""))
        }
    }
}

extension PayloadPath {
    /// Whether a payload has a value of the kind there.
    public func hasValue(of kind: PayloadKind, in payload: [UInt8]) -> Bool {
        if let condition = kind.condition(at: self) {
            return payload.withUnsafeBytes { condition.matches(id: nil, payload: $0) { _ in false } }
        }
        return scalars(in: payload).contains { value in
            switch value {
            case .integer, .unsigned: kind == .integer
            case .string(let text): kind == .uuid && PointID(uuid: text.text) != nil
            default: false
            }
        }
    }
}
