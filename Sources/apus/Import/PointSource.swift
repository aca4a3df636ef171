internal import ApusTypes
internal import ApusVectorIndex

/// A point as the server takes it: `{"id":…,"embedding":[…],"payload":{…}}`.
struct EncodedPoint: Sendable {
    var json: [UInt8]
}

/// What a source gives for one row.
enum SourceRow: Sendable {
    case point(place: String, EncodedPoint)
    /// A row that cannot be imported: its place (`points.jsonl:17`) and why.
    case bad(place: String, reason: String)
}

/// Rows of points from files, in order.
protocol PointSource {
    /// Nil until the first row was seen, where only rows tell.
    var dimension: Int? { get }
    /// Nil when it is not known before the end.
    var rowCount: Int? { get }
    /// From 0 to 1, of what has been read.
    var progress: Double { get }
    /// What the rows come from, to tell a changed file from the same one: paths do not count, sizes and times do.
    var fingerprint: String { get }
    /// Rows are to have this many numbers from now on. Throws when all of them have another count; a row that differs is a bad one.
    mutating func expect(dimension: Int) throws(ApusError)
    /// The next row, nil at the end.
    mutating func next() throws(ApusError) -> SourceRow?
    /// The next row without looking into it; false at the end. A resumed import skips with it.
    mutating func skip() throws(ApusError) -> Bool
}

/// Vectors from a `.npy` file, with payloads line by line beside it.
struct NumPySource: PointSource {
    private let array: NumPyArray
    private var payloads: LineReader?
    private let idField: String
    private var row = 0
    /// Rows are read in blocks of about a megabyte.
    private var block: [Float] = []
    private var blockRows = 0..<0
    private let blockSize: Int
    private let arrayFingerprint: String

    init(vectors: String, payloads: String?, idField: String) throws(ApusError) {
        array = try NumPyArray(path: vectors)
        if let payloads { self.payloads = try LineReader(path: payloads) }
        self.idField = idField
        blockSize = max(1, (1 << 20) / array.rowBytes)
        let file = try FileReader(path: vectors)
        arrayFingerprint = "\(file.size)@\(file.modified)"
    }

    var dimension: Int? { array.columns }

    func expect(dimension: Int) throws(ApusError) {
        guard dimension == array.columns else {
            throw ApusError(.vectorWrongDimension, "the file's vectors have \(array.columns) numbers, not \(dimension)")
        }
    }

    var rowCount: Int? { array.rows }
    var progress: Double { array.rows == 0 ? 1 : Double(row) / Double(array.rows) }
    var fingerprint: String { arrayFingerprint + (payloads.map { "+\($0.file.size)@\($0.file.modified)" } ?? "") + "/\(idField)" }

    mutating func skip() throws(ApusError) -> Bool {
        guard row < array.rows else { return false }
        _ = try payloads?.next()
        row += 1
        return true
    }

    mutating func next() throws(ApusError) -> SourceRow? {
        guard row < array.rows else {
            if let extra = try payloads?.next() {
                throw ApusError(
                    .inputInvalid, "\(payloads?.file.path ?? ""):\(extra.number): there are more payload lines than vectors (\(array.rows))"
                )
            }
            return nil
        }
        defer { row += 1 }
        if !blockRows.contains(row) {
            blockRows = row..<min(array.rows, row + blockSize)
            block = try array.floats(rows: blockRows)
        }
        let start = (row - blockRows.lowerBound) * array.columns
        let vector = Array(block[start..<start + array.columns])
        let place: String
        var id: PointIdentity = .integer(UInt64(row))
        var payload: ArraySlice<UInt8>?
        if payloads == nil {
            place = "\(array.path) row \(row)"
        } else {
            guard let line = try payloads?.next() else {
                throw ApusError(
                    .inputInvalid,
                    "\(payloads?.file.path ?? "") ends after \(row) lines; there are \(array.rows) vectors, each needs a line")
            }
            place = "\(payloads?.file.path ?? ""):\(line.number)"
            if !line.bytes.allSatisfy({ $0 == UInt8(ascii: " ") }) {
                do throws(ApusError) {
                    let root = try JSONDocument(parsing: Array(line.bytes)).root
                    guard root.kind == .object else { return .bad(place: place, reason: "the payload is not a JSON object") }
                    if let found = root[idField] { id = try PointIdentity(found, of: idField) }
                    payload = line.bytes
                } catch { return .bad(place: place, reason: error.summary) }
            }
        }
        if let index = vector.firstIndex(where: { !$0.isFinite }) {
            return .bad(place: place, reason: "element \(index) of its vector is not a finite number")
        }
        return .point(place: place, EncodedPoint(id: id, vector: vector, payload: payload))
    }
}

/// Points from lines of JSON: `{"id": …, "vector": […], "payload": {…}}`. Without `payload`, every other member is the payload.
struct JSONLinesSource: PointSource {
    private var lines: LineReader
    private let idField: String
    private var row = 0
    private(set) var dimension: Int?
    private static let vectorFields = ["vector", "embedding", "values"]

    init(path: String, idField: String) throws(ApusError) {
        lines = try LineReader(path: path)
        self.idField = idField
        // The first good line tells the dimension, so that a collection can be created before anything is sent.
        var ahead = try LineReader(path: path)
        while dimension == nil, let line = try ahead.next() {
            dimension = Self.vector(try? JSONDocument(parsing: Array(line.bytes)).root)?.count
        }
    }

    mutating func expect(dimension: Int) { self.dimension = dimension }

    var rowCount: Int? { nil }
    var progress: Double { lines.file.size == 0 ? 1 : Double(lines.consumed) / Double(lines.file.size) }
    var fingerprint: String { "\(lines.file.size)@\(lines.file.modified)/\(idField)" }

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
            guard root.kind == .object else { return .bad(place: place, reason: "is not a JSON object") }
            guard let vector = Self.vector(root), let dimension else { return .bad(place: place, reason: "has no 'vector' with numbers") }
            let floats = try vector.floats(dimension: dimension)
            var id: PointIdentity = .integer(UInt64(row))
            if let found = root[idField] { id = try PointIdentity(found, of: idField) }
            if let given = root["payload"], given.kind != .object, !given.isNull {
                return .bad(place: place, reason: "'payload' is not an object")
            }
            return .point(place: place, EncodedPoint(id: id, vector: floats, payload: payload(root)?[...]))
        } catch { return .bad(place: place, reason: error.summary) }
    }

    private func payload(_ root: JSONElement) -> [UInt8]? {
        if let given = root["payload"] { return given.kind == .object ? given.minified : nil }
        guard let members = root.members else { return nil }
        var writer = JSONWriter()
        var count = 0
        writer.object { object in
            for (key, value) in members where key != idField && !Self.vectorFields.contains(key) {
                object.key(key)
                object.raw(value.minified)
                count += 1
            }
        }
        return count == 0 ? nil : writer.bytes
    }

    private static func vector(_ root: JSONElement?) -> JSONElement? {
        vectorFields.lazy.compactMap { root?[$0] }.first { $0.kind == .array && $0.count > 0 }
    }
}

/// A point's id as it is sent.
enum PointIdentity {
    case integer(UInt64)
    case text(String)

    /// Throws what the node would say of it.
    init(_ element: JSONElement, of field: String) throws(ApusError) {
        if let value = element.uint {
            self = .integer(value)
        } else if let value = element.string {
            _ = try PointID(value)
            self = .text(value)
        } else {
            throw ApusError(.inputInvalid, "'\(field)' is neither text nor a whole number from 0")
        }
    }
}

extension PointIdentity {
    func write(to object: inout JSONWriter) {
        switch self {
        case .integer(let value): object.member("id", value)
        case .text(let value): object.member("id", value)
        }
    }
}

extension EncodedPoint {
    init(id: PointIdentity, vector: [Float], payload: ArraySlice<UInt8>?) {
        var writer = JSONWriter(reserving: vector.count * 12 + (payload?.count ?? 0) + 64)
        writer.object { object in
            id.write(to: &object)
            object.key("embedding")
            object.floats(vector)
            if let payload {
                object.key("payload")
                object.raw(payload)
            }
        }
        json = writer.bytes
    }
}
