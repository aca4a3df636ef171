public import ApusTypes

extension PointID: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .integer(let number): writer.write(case: 0, number)
        case .uuid(let high, let low): writer.write(case: 1, high, low)
        case .string(let text): writer.write(case: 2, text)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = .integer(try reader.read())
        case 1: self = .uuid(high: try reader.read(), low: try reader.read())
        case 2: self = .string(try reader.read())
        case let other: throw WireReader.invalid("there is no id of kind \(other)")
        }
    }
}

extension VectorValue: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .dense(let vector): writer.write(case: 0, vector)
        case .multiple(let vectors): writer.write(case: 1, vectors)
        case .sparse(let vector): writer.write(case: 2, vector.indices, vector.values)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = .dense(try reader.read())
        case 1: self = .multiple(try reader.read())
        case 2:
            let (indices, values): ([UInt32], [Float]) = (try reader.read(), try reader.read())
            guard indices.count == values.count, zip(indices, indices.dropFirst()).allSatisfy({ $0 < $1 }) else {
                throw WireReader.invalid("a sparse vector's places and values do not fit each other")
            }
            self = .sparse(SparseVector(indices: indices, values: values))
        case let other: throw WireReader.invalid("there is no vector of kind \(other)")
        }
    }
}

extension PointVectors: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(entries) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(try reader.read([Entry].self)) }
}

extension PointVectors.Entry: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(field, value) }

    public init(from reader: inout WireReader) throws(ApusError) { self.init(try reader.read(), try reader.read()) }
}

extension SegmentDescription: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(key, rows, living, bytes.bytes, sealedAt) }

    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(
            key: try reader.read(), rows: try reader.read(), living: try reader.read(), bytes: ByteCount(try reader.read(Int.self)),
            sealedAt: try reader.read())
    }
}

extension OrderValue: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .integer(let value): writer.write(case: 0, value)
        case .double(let value): writer.write(case: 1, value)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = .integer(try reader.read())
        case 1: self = .double(try reader.read())
        case let other: throw WireReader.invalid("there is no order value of kind \(other)")
        }
    }
}

extension ExampleQuery: WireValue where Vector: WireValue {
    public func write(to writer: inout WireWriter) {
        switch self {
        case .nearest(let vector): writer.write(case: 0, vector)
        case .bestScore(let positive, let negative): writer.write(case: 1, positive, negative)
        case .sumScores(let positive, let negative): writer.write(case: 2, positive, negative)
        case .discover(let target, let pairs): writer.write(case: 3, target, pairs)
        case .context(let pairs): writer.write(case: 4, pairs)
        }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = .nearest(try reader.read())
        case 1: self = .bestScore(positive: try reader.read(), negative: try reader.read())
        case 2: self = .sumScores(positive: try reader.read(), negative: try reader.read())
        case 3: self = .discover(target: try reader.read(), pairs: try reader.read())
        case 4: self = .context(try reader.read())
        case let other: throw WireReader.invalid("there is no query by examples of kind \(other)")
        }
    }
}

extension ExamplePair: WireValue where Vector: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(positive, negative) }

    public init(from reader: inout WireReader) throws(ApusError) { self.init(positive: try reader.read(), negative: try reader.read()) }
}
