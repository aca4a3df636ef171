internal import ApusTypes

/// What a value of a payload may be taken for.
public enum PayloadKind: String, Sendable, Hashable, CaseIterable {
    case integer, float, bool, text, datetime, geo, uuid
}

extension PayloadPath {
    /// Whether a payload has a value of the kind there.
    public func hasValue(of kind: PayloadKind, in payload: [UInt8]) -> Bool {
        let filter: Filter
        switch kind {
        case .integer:
            return scalars(in: payload).contains { value in
                switch value {
                case .integer, .unsigned: true
                default: false
                }
            }
        case .uuid:
            return scalars(in: payload).contains { value in
                guard case .string(let text) = value else { return false }
                return PointID(uuid: text.text) != nil
            }
        case .bool: filter = .identical(self, [.bool(true), .bool(false)])
        case .float: filter = .range(self, NumberRange(atLeast: -.greatestFiniteMagnitude))
        case .datetime: filter = .timeRange(self, TimeRange())
        case .geo: filter = .place(self, .circle(GeoPoint(latitude: 0, longitude: 0), radius: .infinity))
        case .text: filter = .text(self, .prefix(""))
        }
        return payload.withUnsafeBytes { filter.matches(id: nil, payload: $0) { _ in false } }
    }
}
