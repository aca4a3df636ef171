import ApusTypes

@testable import ApusVectorIndex

/// Most tests are about a table with one dense field.
extension PointTable {
    convenience init(dimension: Int, metric: Metric) { self.init([VectorField(dimension: dimension, metric: metric)]) }
    var metric: Metric { fields[0].metric }
}

extension PointWriter {
    mutating func upsert(_ id: PointID, vector: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer?) {
        upsert(id, payload: payload) { _ in vector }
    }

    mutating func changeVector(of id: PointID, _ vector: UnsafeRawBufferPointer) -> Bool {
        changeVectors(of: id) { _ in .set(vector) }
    }
}

extension PointSnapshot {
    func vector(_ row: UInt32) -> [Float] {
        if case .dense(let vector)? = value(row, field: 0) { vector } else { [] }
    }
}

extension NeighbourQuery {
    init(vector: [Float], limit: Int, filter: Filter = .everything, scoreThreshold: Float? = nil, isExact: Bool = true) {
        self.init(vector: .dense(vector), limit: limit, filter: filter, scoreThreshold: scoreThreshold, isExact: isExact)
    }
}
