public import ApusTypes

extension Filter: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .all(let filters): writer.write(case: 0, filters)
        case .any(let filters): writer.write(case: 1, filters)
        case .not(let filter): writer.write(case: 2, filter)
        case .atLeast(let count, let filters): writer.write(case: 3, count, filters)
        case .equals(let path, let value): writer.write(case: 4, path, value)
        case .oneOf(let path, let values): writer.write(case: 5, path, values)
        case .range(let path, let range): writer.write(case: 6, path, range)
        case .textRange(let path, let range): writer.write(case: 7, path, range)
        case .exists(let path): writer.write(case: 8, path)
        case .isNull(let path): writer.write(case: 9, path)
        case .hasNull(let path): writer.write(case: 10, path)
        case .isEmpty(let path): writer.write(case: 11, path)
        case .identical(let path, let values): writer.write(case: 12, path, values)
        case .different(let path, let values): writer.write(case: 13, path, values)
        case .text(let path, let match): writer.write(case: 14, path, match)
        case .timeRange(let path, let range): writer.write(case: 15, path, range)
        case .place(let path, let shape): writer.write(case: 16, path, shape)
        case .valueCount(let path, let range): writer.write(case: 17, path, range)
        case .nested(let path, let filter): writer.write(case: 18, path, filter)
        case .hasID(let ids): writer.write(case: 19, ids)
        case .hasVector(let field): writer.write(case: 20, field)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        self = try reader.nested { (reader) throws(ApusError) in
            switch try reader.readCase() {
            case 0: .all(try reader.read())
            case 1: .any(try reader.read())
            case 2: .not(try reader.read())
            case 3: .atLeast(try reader.read(), try reader.read())
            case 4: .equals(try reader.read(), try reader.read())
            case 5: .oneOf(try reader.read(), try reader.read())
            case 6: .range(try reader.read(), try reader.read())
            case 7: .textRange(try reader.read(), try reader.read())
            case 8: .exists(try reader.read())
            case 9: .isNull(try reader.read())
            case 10: .hasNull(try reader.read())
            case 11: .isEmpty(try reader.read())
            case 12: .identical(try reader.read(), try reader.read())
            case 13: .different(try reader.read(), try reader.read())
            case 14: .text(try reader.read(), try reader.read())
            case 15: .timeRange(try reader.read(), try reader.read())
            case 16: .place(try reader.read(), try reader.read())
            case 17: .valueCount(try reader.read(), try reader.read())
            case 18: .nested(try reader.read(), try reader.read())
            case 19: .hasID(try reader.read())
            case 20: .hasVector(try reader.read())
            case let other: throw WireReader.invalid("there is no condition of kind \(other)")
            }
        }
    }
}

extension PayloadPath: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(description, searchesArrays, steps) }

    public init(from reader: inout WireReader) throws(ApusError) {
        let (text, searchesArrays): (String, Bool) = (try reader.read(), try reader.read())
        self.init(try reader.read(), description: text, searchesArrays: searchesArrays)
    }
}

extension PayloadPath.Step: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .member(let name): writer.write(case: 0, name)
        case .element(let number): writer.write(case: 1, number)
        case .everyElement: writer.write(case: 2)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = .member(try reader.read())
        case 1: self = .element(try reader.read())
        case 2: self = .everyElement
        case let other: throw WireReader.invalid("there is no step of kind \(other)")
        }
    }
}

extension Scalar: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .bool(let value): writer.write(case: 0, value)
        case .integer(let value): writer.write(case: 1, value)
        case .unsigned(let value): writer.write(case: 2, value)
        case .double(let value): writer.write(case: 3, value)
        case .string(let value): writer.write(case: 4, value)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = .bool(try reader.read())
        case 1: self = .integer(try reader.read())
        case 2: self = .unsigned(try reader.read())
        case 3: self = .double(try reader.read())
        case 4: self = .string(try reader.read())
        case let other: throw WireReader.invalid("there is no scalar of kind \(other)")
        }
    }
}

extension TextMatch: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .allWords(let words): writer.write(case: 0, words)
        case .anyWord(let words): writer.write(case: 1, words)
        case .phrase(let words): writer.write(case: 2, words)
        case .prefix(let text): writer.write(case: 3, text)
        case .substring(let text): writer.write(case: 4, text)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = .allWords(try reader.read())
        case 1: self = .anyWord(try reader.read())
        case 2: self = .phrase(try reader.read())
        case 3: self = .prefix(try reader.read())
        case 4: self = .substring(try reader.read())
        case let other: throw WireReader.invalid("there is no text match of kind \(other)")
        }
    }
}

extension GeoShape: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .circle(let center, let radius): writer.write(case: 0, center, radius)
        case .box(let topLeft, let bottomRight): writer.write(case: 1, topLeft, bottomRight)
        case .polygon(let ring, let holes): writer.write(case: 2, ring, holes)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = .circle(try reader.read(), radius: try reader.read())
        case 1: self = .box(topLeft: try reader.read(), bottomRight: try reader.read())
        case 2: self = .polygon(try reader.read(), holes: try reader.read())
        case let other: throw WireReader.invalid("there is no shape of kind \(other)")
        }
    }
}

extension GeoPoint: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(latitude, longitude) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(latitude: try reader.read(), longitude: try reader.read()) }
}

// MARK: Ranges

extension PayloadTime: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(microseconds) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(microseconds: try reader.read()) }
}

extension NumberRange: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(greaterThan, atLeast, lessThan, atMost) }
    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(greaterThan: try reader.read(), atLeast: try reader.read(), lessThan: try reader.read(), atMost: try reader.read())
    }
}

extension CountRange: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(greaterThan, atLeast, lessThan, atMost) }
    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(greaterThan: try reader.read(), atLeast: try reader.read(), lessThan: try reader.read(), atMost: try reader.read())
    }
}

extension TextRange: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(greaterThan, atLeast, lessThan, atMost) }
    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(greaterThan: try reader.read(), atLeast: try reader.read(), lessThan: try reader.read(), atMost: try reader.read())
    }
}

extension TimeRange: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(after, atLeast, before, atMost) }
    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(after: try reader.read(), atLeast: try reader.read(), before: try reader.read(), atMost: try reader.read())
    }
}
