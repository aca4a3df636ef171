internal import ApusSchemas

/// One row of a statement's result, its columns as text.
public protocol TextRow {
    /// The bytes are valid inside `body` alone; nil for NULL.
    func withColumn<Value>(_ column: Int, _ body: (UnsafeRawBufferPointer?) -> Value) -> Value
}

/// Writes the rows of one statement as JSON, as they come: nothing of a row is kept after `add`.
public struct RowAssembler {
    /// What rows came to: JSON with holes for what batches find.
    public struct Piece: Sendable, Hashable {
        var bytes: [UInt8] = []
        var holes: [Hole] = []
    }

    /// A place in a piece where the rows that another statement finds for a key belong.
    struct Hole: Sendable, Hashable {
        var offset: Int
        var batch: Int
        var key: Key
    }

    /// The texts of a key's columns, each behind its length.
    typealias Key = [UInt8]

    private let shape: RowShape
    private var output = Piece()
    private var states: [State]
    private var groups: [Key: Piece] = [:]
    private var group: Key?
    private(set) var rowCount = 0
    /// Beyond this many rows all are dropped, and the reply is none.
    private let mostRows: Int
    public var isTooLarge: Bool { rowCount > mostRows }
    /// Whether there were more objects than the limit.
    public private(set) var isTruncated = false
    /// The keys that batches are needed for, each once, in the order of the rows: their columns' texts.
    private(set) var batchKeys: [[[[UInt8]]]]
    private var knownKeys: [Set<Key>]

    private struct State {
        var key: Key = []
        /// Whether an object was begun and its list can take more.
        var isOpen = false
        var count = 0
        /// What comes behind the list inside.
        var tail = Piece()
    }

    /// `batches`: how many the statement has.
    public init(_ shape: RowShape, batches: Int = 0, mostRows: Int = .max) {
        self.shape = shape
        self.mostRows = mostRows
        states = Array(repeating: State(), count: shape.levels.count)
        batchKeys = Array(repeating: [], count: batches)
        knownKeys = Array(repeating: [], count: batches)
    }

    // MARK: Rows

    public mutating func add(_ row: some TextRow) {
        rowCount += 1
        if shape.result == .changes || isTooLarge { return }
        if !shape.group.isEmpty {
            let key = Self.key(shape.group, row)
            if let group, group != key { finishGroup(group) }
            group = key
        }
        for index in shape.levels.indices {
            let level = shape.levels[index]
            if let presence = level.presence, Self.isNull(presence, row) { return close(from: index) }
            let isLast = index == shape.levels.count - 1
            let key = isLast ? [] : Self.key(level.key, row)
            if !isLast, states[index].isOpen, states[index].key == key { continue }
            close(from: index)
            if shape.result == .one, index == 0, states[0].count == 1 { return }
            if let limit = level.limit, states[index].count == limit {
                isTruncated = true
                return
            }
            let begins = states[index].count == 0
            if index > 0 || shape.result == .list { output.bytes.append(UInt8(ascii: begins ? "[" : ",")) }
            states[index].count += 1
            states[index].key = key
            var tail = Piece()
            states[index].isOpen = begin(level.item, row, &tail)
            states[index].tail = tail
            if index + 1 < states.count { states[index + 1].count = 0 }
            if !states[index].isOpen { return }
        }
    }

    /// Ends the objects that are open from this level inwards.
    private mutating func close(from index: Int) {
        for level in states.indices.reversed() where level >= index && states[level].isOpen {
            states[level].isOpen = false
            // The list inside, which has no rows if nothing has begun it.
            if level + 1 < states.count {
                if states[level + 1].count == 0 { JSONText.null(&output.bytes) } else { output.bytes.append(UInt8(ascii: "]")) }
            }
            append(states[level].tail)
        }
    }

    /// Writes an object up to the list inside it and puts what comes behind into `tail`. Without such a list it is written whole, and the
    /// answer is false.
    private mutating func begin(_ shape: Shape, _ row: some TextRow, _ tail: inout Piece) -> Bool {
        switch shape {
        case .nested: return true
        case .object(let members, let presence) where shape.holdsNested:
            if let presence, Self.isNull(presence, row) {
                JSONText.null(&output.bytes)
                return false
            }
            var isOpen = false
            var rest = Piece()
            output.bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                let separator: [UInt8] = index == 0 ? [] : [UInt8(ascii: ",")]
                if isOpen {
                    rest.bytes += separator + member.name
                    write(member.shape, row, &rest)
                } else {
                    output.bytes += separator + member.name
                    if member.shape.holdsNested { isOpen = begin(member.shape, row, &tail) } else { write(member.shape, row) }
                }
            }
            rest.bytes.append(UInt8(ascii: "}"))
            if isOpen { Self.append(rest, to: &tail) } else { append(rest) }
            return isOpen
        default:
            write(shape, row)
            return false
        }
    }

    private mutating func write(_ shape: Shape, _ row: some TextRow) {
        var piece = Piece()
        swap(&piece, &output)
        write(shape, row, &piece)
        swap(&piece, &output)
    }

    private mutating func write(_ shape: Shape, _ row: some TextRow, _ piece: inout Piece) {
        switch shape {
        case .text(let bytes): piece.bytes += bytes
        case .nested: JSONText.null(&piece.bytes)
        case .value(let column, let format):
            row.withColumn(column) { bytes in
                if let bytes { JSONText.write(bytes, as: format, to: &piece.bytes) } else { piece.bytes += shape.ofNothing }
            }
        case .object(let members, let presence):
            if let presence, Self.isNull(presence, row) { return JSONText.null(&piece.bytes) }
            piece.bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { piece.bytes.append(UInt8(ascii: ",")) }
                piece.bytes += member.name
                write(member.shape, row, &piece)
            }
            piece.bytes.append(UInt8(ascii: "}"))
        case .batch(let batch, let columns):
            let key = Self.key(columns, row)
            if !columns.contains(where: { Self.isNull($0, row) }), knownKeys[batch].insert(key).inserted {
                batchKeys[batch].append(columns.map { column in row.withColumn(column) { $0.map { Array($0) } ?? [] } })
            }
            piece.holes.append(Hole(offset: piece.bytes.count, batch: batch, key: key))
        }
    }

    // MARK: The end

    /// Of a statement that is no batch.
    public mutating func finish() -> Piece {
        if shape.result == .changes {
            write(shape.levels[0].item, Count(rows: rowCount))
            return output
        }
        finishFragment(empty: shape.result == .list ? "[]" : "null")
        return output
    }

    /// Of a batch: what each key's rows came to.
    mutating func finishGroups() -> [Key: Piece] {
        if let group { finishGroup(group) }
        return groups
    }

    private mutating func finishGroup(_ key: Key) {
        finishFragment(empty: "null")
        groups[key] = output
        output = Piece()
        for index in states.indices { states[index] = State() }
    }

    private mutating func finishFragment(empty: StaticString) {
        close(from: 0)
        if states[0].count == 0 {
            output.bytes.append(contentsOf: empty.description.utf8)
        } else if shape.result == .list {
            output.bytes.append(UInt8(ascii: "]"))
        }
    }

    private struct Count: TextRow {
        var rows: Int

        func withColumn<Value>(_ column: Int, _ body: (UnsafeRawBufferPointer?) -> Value) -> Value {
            Array(String(rows).utf8).withUnsafeBytes { body($0) }
        }
    }

    // MARK: Pieces

    private mutating func append(_ piece: Piece) { Self.append(piece, to: &output) }

    private static func append(_ piece: Piece, to target: inout Piece) {
        for var hole in piece.holes {
            hole.offset += target.bytes.count
            target.holes.append(hole)
        }
        target.bytes += piece.bytes
    }

    private static func isNull(_ column: Int, _ row: some TextRow) -> Bool { row.withColumn(column) { $0 == nil } }

    private static func key(_ columns: [Int], _ row: some TextRow) -> Key {
        var key: Key = []
        for column in columns {
            row.withColumn(column) { bytes in
                withUnsafeBytes(of: Int32(bytes?.count ?? -1)) { key.append(contentsOf: $0) }
                if let bytes { key.append(contentsOf: bytes) }
            }
        }
        return key
    }
}

extension RowAssembler.Piece {
    /// What a batch found for each key, and what keys get for which it found nothing.
    struct Found {
        var values: [RowAssembler.Key: [UInt8]] = [:]
        var absent: [UInt8]
    }

    /// The JSON with its holes filled from what the batches found.
    func filled(_ batches: [Found]) -> [UInt8] {
        if holes.isEmpty { return bytes }
        var result: [UInt8] = []
        var start = 0
        for hole in holes {
            result += bytes[start..<hole.offset]
            start = hole.offset
            result += batches[hole.batch].values[hole.key] ?? batches[hole.batch].absent
        }
        return result + bytes[start...]
    }
}
