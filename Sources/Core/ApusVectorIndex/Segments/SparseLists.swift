internal import ApusTypes

/// The vectors of a sparse field by their places, as they lie in a segment's bytes (docs/segment-format.md): for each place the vectors that
/// have a number there, and the number. A search adds up what its query's places have instead of reading every vector.
struct SparseLists: @unchecked Sendable {  // read only, as long as the segment lives
    /// Vectors of the field.
    private let count: Int
    private let places: UnsafeRawBufferPointer
    private let starts: UnsafeRawBufferPointer
    private let vectors: UnsafeRawBufferPointer
    private let numbers: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer, count: Int) throws(ApusError) {
        guard bytes.count >= 8 else { throw SegmentFormat.unreadable("its sparse lists are cut") }
        let distinct = Int(bytes.number(at: 0, as: UInt32.self)), entries = Int(bytes.number(at: 4, as: UInt32.self))
        guard bytes.count == 8 + distinct * 4 + (distinct + 1) * 4 + entries * 8 else {
            throw SegmentFormat.unreadable("its sparse lists have another size")
        }
        func part(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: bytes[start..<start + count * 4])
        }
        self.count = count
        places = part(8, distinct)
        starts = part(8 + distinct * 4, distinct + 1)
        vectors = part(12 + distinct * 8, entries)
        numbers = part(12 + distinct * 8 + entries * 4, entries)
    }

    var bytes: Int { places.count + starts.count + vectors.count + numbers.count }

    /// The entries of a place; none where the bytes are rotten.
    func entries(of place: UInt32) -> Range<Int> {
        var (low, high) = (0, places.count / 4)
        while low < high {
            let middle = (low + high) / 2
            if places.number(at: middle * 4, as: UInt32.self) < place { low = middle + 1 } else { high = middle }
        }
        guard low < places.count / 4, places.number(at: low * 4, as: UInt32.self) == place else { return 0..<0 }
        let start = Int(starts.number(at: low * 4, as: UInt32.self)), end = Int(starts.number(at: low * 4 + 4, as: UInt32.self))
        return start <= end && end <= vectors.count / 4 ? start..<end : 0..<0
    }

    /// Entries at the query's places; of a long query only how many all vectors have, since looking for so many takes long.
    func entries(of query: SparseVector) -> Int {
        query.indices.count > 1000 ? vectors.count / 4 : query.indices.reduce(0) { $0 + entries(of: $1).count }
    }

    /// The vector of an entry, by its place in the field's tables; nil where it is rotten.
    func vector(_ entry: Int) -> Int? {
        let vector = Int(vectors.number(at: entry * 4, as: UInt32.self))
        return vector < count ? vector : nil
    }

    /// The vectors that share a place with the query, and each vector's product with it: added up in the order of the places, as
    /// `RowScorer` does, so that the sums are the same to the last bit.
    func products(with query: SparseVector) -> (vectors: RowSet, products: [Float]) {
        var found = RowSet(rows: count)
        var products = [Float](repeating: 0, count: count)
        products.withUnsafeMutableBufferPointer { products in
            for (place, weight) in zip(query.indices, query.values) {
                for entry in entries(of: place) {
                    guard let vector = vector(entry) else { continue }
                    products[vector] += weight * Float(bitPattern: numbers.number(at: entry * 4))
                    found.insert(vector)
                }
            }
        }
        return (found, products)
    }

    /// Nil where there is more than a list can hold.
    static func bytes(_ vectors: some Sequence<SparseView>) -> [UInt8]? {
        var entries: [(key: UInt64, number: Float)] = []
        for (number, vector) in vectors.enumerated() {
            for index in 0..<vector.count { entries.append((UInt64(vector.index(index)) << 32 | UInt64(number), vector.value(index))) }
        }
        guard entries.count < Int(UInt32.max) else { return nil }
        entries.sort { $0.key < $1.key }
        var places: [UInt32] = []
        var starts: [UInt32] = []
        for (position, entry) in entries.enumerated() where places.last != UInt32(entry.key >> 32) {
            places.append(UInt32(entry.key >> 32))
            starts.append(UInt32(position))
        }
        starts.append(UInt32(entries.count))
        var bytes: [UInt8] = []
        bytes.append(numbers: [UInt32(places.count), UInt32(entries.count)])
        bytes.append(numbers: places)
        bytes.append(numbers: starts)
        bytes.append(numbers: entries.lazy.map { UInt32(truncatingIfNeeded: $0.key) })
        bytes.append(floats: entries.map(\.number))
        return bytes
    }
}
