internal import CVectorGraph

/// What points of one dense vector each will take, before there are any: computed from the layouts that the bytes have, not measured.
public struct MemoryForecast: Sendable, Hashable {
    public var dimension: Int
    public var metric: Metric
    /// Of a point, as JSON without white space.
    public var payloadBytes: Int
    /// Of a point's id where that is a string; 0 for integers and UUIDs.
    public var idBytes: Int
    private let parameters = SegmentBuilder.Parameters()

    public init(dimension: Int, metric: Metric, payloadBytes: Int = 0, idBytes: Int = 0) {
        self.dimension = dimension
        self.metric = metric
        self.payloadBytes = payloadBytes
        self.idBytes = idBytes
    }

    /// Heap of a point that is in a segment.
    public static let sealedHeapBytes = SealedRows.bytesPerRow

    private var hasScales: Bool { metric == .cosine }
    private var codes: Coding.Size { Coding.Size(.preferred(metric, dimension: dimension), metric, dimension: dimension) }
    private var fine: Coding.Size {
        codes.kind == .bits8 ? .none : Coding.Size(.bits8, metric, dimension: dimension)
    }

    /// Bytes of a segment of so many points, which are those of its object in the store and of its mapping.
    public func sealedBytes(points: Int) -> Int {
        guard points > 0 else { return 0 }
        // In the order of the format; nothing is dead.
        var sections = [
            points, points * 16, points * idBytes, SegmentIDs.slots(for: points) * 4, points * 4, points * 8, (points + 1) * 8,
            points * payloadBytes, 0, points * dimension * 4, hasScales ? points * 4 : 0,
        ]
        if hasGraph(points) {
            let calibration = 19 * 8
            sections += [
                codes.head, points * codes.stride, points * codes.bias, fine.head, points * fine.stride,
                points * parameters.graph.degree * 4, calibration,
            ]
        }
        let page = SegmentFormat.alignment
        return sections.reduce(page) { $0 + ($1 + page - 1) / page * page }
    }

    /// What of a segment each search looks at, and what is kept beside it on the heap: this is what must be in memory for searches to be
    /// quick. The rest (vectors as written, payloads, ids) is read for what is found only.
    public func searchedBytes(points: Int) -> Int {
        let mapped =
            hasGraph(points) ? points * (parameters.graph.degree * 4 + codes.stride + codes.bias + fine.stride) : points * dimension * 4
        return mapped + points * Self.sealedHeapBytes
    }

    /// Heap of points that no segment holds yet.
    public func unsealedBytes(points: Int) -> Int {
        guard points > 0 else { return 0 }
        let row =
            RowChunk.bytesPerPoint + DenseColumn.bytesPerRow(dimension, metric) + payloadBytes
            + (idBytes > 15 ? idBytes + 32 : 0)  // a longer string has memory of its own
        let chunk = RowChunk.rows([VectorField(dimension: dimension, metric: metric)])
        let ids = Dictionary<PointID, UInt32>(minimumCapacity: points).capacity * PointTable.bytesPerEntry
        return (points + chunk - 1) / chunk * chunk * row + ids
    }

    /// Heap that making a segment of so many points takes for the time: their vectors, codes and links, and what links are chosen by: one
    /// more code of a byte for each number, and lists with distances and some room.
    public func buildingBytes(points: Int) -> Int {
        let lists = parameters.graph.degree * 3 / 2 * 8
        let row = dimension * 5 + lists + parameters.graph.degree * 4 + codes.stride + codes.bias + fine.stride
        return hasGraph(points) ? points * row : 0
    }

    private func hasGraph(_ points: Int) -> Bool { points >= parameters.leastGraph }
}

extension Coding {
    /// What codes take, known before there are any.
    struct Size {
        static let none = Size(kind: .bits8, head: 0, stride: 0, bias: 0)
        let kind: CodeKind
        /// Of the coding itself (`bytes`).
        let head: Int
        /// Of a row.
        let stride: Int
        let bias: Int
    }
}

extension Coding.Size {
    init(_ kind: CodeKind, _ metric: Metric, dimension: Int) {
        let count = kind.isSmall ? dimension : 0
        let coding = Coding(
            kind, metric, dimension: dimension, offsets: .init(repeating: 0, count: count), steps: .init(repeating: 0, count: count),
            order: .init(repeating: 0, count: kind == .thirds ? dimension : 0))
        self.init(kind: kind, head: coding.bytes.count, stride: coding.stride, bias: coding.needsBias ? 4 : 0)
    }
}
