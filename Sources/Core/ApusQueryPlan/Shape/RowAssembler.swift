internal import ApusCells
internal import ApusSchemas

/// One column of a row as text: where its bytes are, or nil for NULL; an empty text has an address, too. The bytes need to be there until
/// `RowAssembler.add` returns, no longer.
public struct RowCell {
    public var start: UnsafeRawPointer?
    public var count: Int

    public init(_ start: UnsafeRawPointer?, count: Int) {
        self.start = start
        self.count = count
    }

    public static var null: RowCell { RowCell(nil, count: 0) }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// nil for NULL.
    public var text: String? { start == nil ? nil : String(decoding: bytes, as: UTF8.self) }
}

/// Writes the rows of one statement as JSON, as they come: nothing of a row is kept after `add`.
///
/// Used by one task or loop at a time: the runner makes it, whoever runs the statement gives it rows, and the runner reads it when that is done.
public final class RowAssembler: @unchecked Sendable {
    // Unchecked: see above; it changes hands with the call that it is given to, and with the return of that.

    /// A place in the output where the rows that another statement finds for a key belong.
    struct Hole {
        var offset: Int
        var batch: Int
        /// Its number among the keys of the batch; below zero when a part of it is null.
        var key: Int
    }

    /// A part of the output, and the holes in it.
    struct Piece {
        var bytes: Range<Int>
        var holes: Range<Int>
    }

    /// What makes a reply impossible.
    enum Problem: Sendable, Hashable {
        case rows
        case bytes
        /// A column of the row is not there, or a key is none that was asked for: the source does not do what it should.
        case columns
        /// A value is not of its declared type.
        case value(place: String, ValueFormat)
        /// A geometry has no cells, or all of them too many.
        case cells(CellProblem)
    }

    private let program: RowProgram
    private let isChecked: Bool
    private var output = ReplyBuffer(capacity: 512)
    private(set) var holes: [Hole] = []
    private let states: UnsafeMutableBufferPointer<State>
    private var group = -1
    private var groupStart = Piece(bytes: 0..<0, holes: 0..<0)
    private var groups: [Int: Piece] = [:]
    private(set) var rowCount = 0
    private let mostRows: Int
    private let mostBytes: Int
    private(set) var problem: Problem?
    /// Whether there were more objects than the limit.
    private(set) var isTruncated = false
    /// Of each batch.
    private(set) var keys: [BatchKeys]
    /// Of geometries, whose batch is asked with their cells.
    private(set) var cells: CellCollector?

    private struct State {
        /// The text of the key of the object that was begun last: each column behind its length.
        var key = ReplyBuffer(capacity: 64)
        /// Whether an object was begun and its list can take more.
        var isOpen = false
        var count = 0
        /// What comes behind the list inside, and the holes in it.
        var tail = ReplyBuffer(capacity: 64)
        var tailHoles: [Hole] = []
    }

    init(_ statement: StatementPlan, _ limits: PlanLimits) {
        program = statement.program
        isChecked = statement.engine == .sqlite
        mostRows = limits.rows
        mostBytes = limits.replyBytes
        states = .allocate(capacity: program.levels.count)
        for index in states.indices { states.initializeElement(at: index, to: State()) }
        keys = statement.batches.map { BatchKeys(columns: $0.keyCount) }
        if case .cells(let resolution) = program.shape.result { cells = CellCollector(resolution: resolution, mostPairs: limits.cells) }
    }

    deinit {
        output.free()
        for index in states.indices {
            states[index].key.free()
            states[index].tail.free()
        }
        states.deinitialize()
        states.deallocate()
    }

    /// Whether nothing more is taken: the rest of the rows need not be read.
    public var isDone: Bool { problem != nil }

    // MARK: Rows

    public func add(_ row: UnsafeBufferPointer<RowCell>) {
        rowCount += 1
        guard problem == nil else { return }
        guard rowCount <= mostRows else { return fail(.rows) }
        if program.shape.result == .changes { return }
        guard row.count >= program.columnCount else { return fail(.columns) }
        if cells != nil { return addGeometry(row) }
        if let column = program.shape.group, !enter(row[column]) { return fail(.columns) }
        var out = output
        write(row, &out)
        output = out
        if out.count > mostBytes { fail(.bytes) }
    }

    private func addGeometry(_ row: UnsafeBufferPointer<RowCell>) {
        guard row.count == 2 else { return fail(.columns) }
        do throws(CellProblem) { try cells?.add(name: row[0], geometry: row[1]) } catch { fail(.cells(error)) }
    }

    private func fail(_ problem: Problem) { if self.problem == nil { self.problem = problem } }

    @inline(__always)
    private func write(_ row: UnsafeBufferPointer<RowCell>, _ out: inout ReplyBuffer) {
        for index in program.levels.indices {
            let level = program.levels[index]
            if level.presence >= 0, row[Int(level.presence)].start == nil { return close(from: index, &out) }
            if !level.isLast, states[index].isOpen, hasSameKey(index, level, row) { continue }
            close(from: index, &out)
            if index == 0, program.shape.result == .one, states[0].count == 1 { return }
            if states[index].count == level.limit {
                isTruncated = true
                return
            }
            if index > 0 || program.shape.result == .list { out.append(UInt8(ascii: states[index].count == 0 ? "[" : ",")) }
            states[index].count &+= 1
            if !level.isLast { keepKey(index, level, row) }
            guard let nested = run(level.firstStep, row, &out, &holes) else { return }
            states[index].isOpen = true
            if level.isLast { return }
            states[index].tail.removeAll()
            states[index].tailHoles.removeAll(keepingCapacity: true)
            _ = run(nested &+ 1, row, &states[index].tail, &states[index].tailHoles)
            states[index &+ 1].count = 0
        }
    }

    /// Writes from a step on up to the list inside and tells its step; nil at the end.
    private func run(
        _ start: Int, _ row: UnsafeBufferPointer<RowCell>, _ target: inout ReplyBuffer, _ holes: inout [Hole]
    ) -> Int? {
        var at = start
        var out = target
        defer { target = out }
        let literals = program.literals.baseAddress
        while true {
            let step = program.steps[at]
            if let literals, !step.literal.isEmpty { out.append(literals + step.literal.lowerBound, step.literal.count) }
            switch step.operation {
            case .value:
                let cell = row[Int(step.column)]
                if let start = cell.start {
                    if cell.count > mostBytes &- out.count { fail(.bytes) }
                    guard problem == nil else { return nil }
                    let bytes = UnsafeRawBufferPointer(start: start, count: cell.count)
                    if !out.write(bytes, as: step.format, isChecked: isChecked) {
                        fail(.value(place: program.place(of: at) ?? "", step.format))
                    }
                } else {
                    out.append(step.format == .count ? "0" : "null")
                }
            case .presence where row[Int(step.column)].start == nil:
                out.append("null")
                at = Int(step.target)
                continue
            case .presence, .none: break
            case .hole:
                let batch = Int(step.target)
                holes.append(
                    Hole(offset: out.count, batch: batch, key: keys[batch].number(of: program.keyColumns[step.key], row)))
            case .nested: return at
            case .end: return nil
            }
            at &+= 1
        }
    }

    /// Ends the objects that are open from this level inwards.
    private func close(from index: Int, _ out: inout ReplyBuffer) {
        var level = states.count &- 1
        while level >= index {
            if states[level].isOpen {
                states[level].isOpen = false
                if level &+ 1 < states.count {
                    // The list inside, which has no rows if nothing has begun it.
                    if states[level &+ 1].count == 0 { out.append("null") } else { out.append(UInt8(ascii: "]")) }
                }
                for hole in states[level].tailHoles {
                    holes.append(Hole(offset: hole.offset + out.count, batch: hole.batch, key: hole.key))
                }
                out.append(states[level].tail.bytes)
            }
            level &-= 1
        }
    }

    private func hasSameKey(_ index: Int, _ level: RowProgram.Level, _ row: UnsafeBufferPointer<RowCell>) -> Bool {
        let key = states[index].key.bytes
        var at = 0
        for column in program.keyColumns[level.key] {
            let cell = row[Int(column)]
            guard key.loadUnaligned(fromByteOffset: at, as: Int.self) == (cell.start == nil ? -1 : cell.count) else { return false }
            at &+= MemoryLayout<Int>.size
            for offset in 0..<cell.count where key[at &+ offset] != cell.bytes[offset] { return false }
            at &+= cell.count
        }
        return true
    }

    private func keepKey(_ index: Int, _ level: RowProgram.Level, _ row: UnsafeBufferPointer<RowCell>) {
        states[index].key.removeAll()
        for column in program.keyColumns[level.key] {
            let cell = row[Int(column)]
            withUnsafeBytes(of: cell.start == nil ? -1 : cell.count) { states[index].key.append($0) }
            states[index].key.append(cell.bytes)
        }
    }

    /// Whether the row is of a key that was asked for. Rows of a key come one after the other.
    private func enter(_ cell: RowCell) -> Bool {
        var number = 0
        guard cell.count > 0 else { return false }
        for byte in cell.bytes {
            guard byte &- Ascii.zero <= 9, number < Int(Int32.max) else { return false }
            number = number &* 10 &+ Int(byte &- Ascii.zero)
        }
        guard number != group else { return true }
        leaveGroup()
        guard groups[number] == nil else { return false }
        group = number
        groupStart = Piece(bytes: output.count..<output.count, holes: holes.count..<holes.count)
        return true
    }

    private func leaveGroup() {
        guard group >= 0 else { return }
        finishObjects(empty: "null")
        groups[group] = Piece(bytes: groupStart.bytes.lowerBound..<output.count, holes: groupStart.holes.lowerBound..<holes.count)
        for index in states.indices {
            states[index].isOpen = false
            states[index].count = 0
        }
        group = -1
    }

    private func finishObjects(empty: StaticString) {
        var out = output
        close(from: 0, &out)
        if states[0].count == 0 {
            out.append(empty)
        } else if program.shape.result == .list {
            out.append(UInt8(ascii: "]"))
        }
        output = out
    }

    // MARK: The end

    /// Whether it makes more of its rows than an event loop should.
    public var isLaborious: Bool { cells != nil }

    /// All rows were given. What then takes long is done here, else when the runner goes on.
    public func end() { if problem == nil { cells?.finish() } }

    /// All rows have come.
    func finish() {
        guard problem == nil else { return }
        if cells != nil { return end() }
        if program.shape.group != nil { return leaveGroup() }
        guard program.shape.result == .changes else {
            return finishObjects(empty: program.shape.result == .list ? "[]" : "null")
        }
        let count = Array(String(rowCount).utf8)
        count.withUnsafeBytes { text in
            let cell = RowCell(text.baseAddress, count: text.count)
            withUnsafePointer(to: cell) { cell in
                _ = run(program.levels[0].firstStep, UnsafeBufferPointer(start: cell, count: 1), &output, &holes)
            }
        }
    }

    /// Of a statement that is no batch.
    var whole: Piece { Piece(bytes: 0..<output.count, holes: 0..<holes.count) }

    /// Of a batch: what a key's rows came to.
    func piece(of key: Int) -> Piece? { groups[key] }

    /// What a key gets that no rows came for.
    var absent: [UInt8] { program.shape.absent }

    func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: output.bytes[range]) }
    var byteCount: Int { output.count }
}

/// The keys that a batch is asked for, each once, in the order of the rows that have them.
struct BatchKeys {
    /// Texts of each column.
    private(set) var columns: [[[UInt8]]]
    private(set) var byteCount = 0
    private var numbers: [[UInt8]: Int] = [:]
    private var last: (key: [UInt8], number: Int)?

    init(columns: Int) { self.columns = Array(repeating: [], count: columns) }

    var count: Int { columns.first?.count ?? 0 }

    /// Below zero for a key with a null in it: nothing equals that.
    mutating func number(of key: some Collection<Int32>, _ row: UnsafeBufferPointer<RowCell>) -> Int {
        var text: [UInt8] = []
        for column in key {
            let cell = row[Int(column)]
            guard cell.start != nil else { return -1 }
            withUnsafeBytes(of: cell.count) { text.append(contentsOf: $0) }
            text.append(contentsOf: cell.bytes)
        }
        if let last, last.key == text { return last.number }
        let number = numbers[text] ?? count
        last = (text, number)
        if number < count { return number }
        numbers[text] = number
        for (index, column) in key.enumerated() { columns[index].append(Array(row[Int(column)].bytes)) }
        byteCount += text.count
        return number
    }
}
