/// A `RowShape` compiled for writing rows: for each list the steps that write one of its objects, each of them bytes that are the same for
/// every row (`,"name":`) and what comes behind them. Immutable.
final class RowProgram: @unchecked Sendable {
    // Unchecked: raw memory that `init` fills, nobody changes, and `deinit` frees.
    let steps: UnsafeBufferPointer<Step>
    let literals: UnsafeRawBufferPointer
    let levels: UnsafeBufferPointer<Level>
    /// Columns of keys, one key behind the other.
    let keyColumns: UnsafeBufferPointer<Int32>
    let shape: RowShape
    /// The numbers of columns end before this.
    let columnCount: Int
    /// Where each step's value stands in an object: response keys with dots between them.
    private let places: [Int: String]

    struct Step {
        enum Operation: UInt8 {
            case value
            /// Where the column is null the object is: writes that, and goes on behind it.
            case presence
            /// Where what another statement finds belongs; `target` is the statement's number.
            case hole
            /// The list inside.
            case nested
            case none
            case end
        }

        var operation: Operation
        var format = ValueFormat.json
        var column: Int32 = 0
        /// For `presence` the step behind the object, for `hole` the batch.
        var target: Int32 = 0
        /// Of a hole.
        var key = 0..<0
        /// Written first.
        var literal = 0..<0
    }

    struct Level {
        /// Among `keyColumns`.
        var key: Range<Int>
        /// Below zero: every row has an object.
        var presence: Int32
        var limit: Int
        var firstStep: Int
        /// The column of the group, which is no part of an object.
        var isLast: Bool
    }

    init(_ shape: RowShape) {
        var compiler = Compiler()
        var levels: [Level] = []
        for (index, level) in shape.levels.enumerated() {
            let first = compiler.steps.count
            compiler.add(level.item, at: [])
            compiler.emit(Step(operation: .end))
            levels.append(
                Level(
                    key: compiler.key(level.key), presence: Int32(level.presence ?? -1), limit: level.limit ?? .max, firstStep: first,
                    isLast: index == shape.levels.count - 1))
            compiler.see(level.presence)
        }
        compiler.see(shape.group)
        self.shape = shape
        columnCount = compiler.columnCount
        places = compiler.places
        steps = Self.memory(compiler.steps)
        literals = UnsafeRawBufferPointer(Self.memory(compiler.literals))
        self.levels = Self.memory(levels)
        keyColumns = Self.memory(compiler.keyColumns)
    }

    deinit {
        steps.deallocate()
        literals.deallocate()
        levels.deallocate()
        keyColumns.deallocate()
    }

    private static func memory<Element>(_ elements: [Element]) -> UnsafeBufferPointer<Element> {
        let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: elements.count)
        _ = memory.initialize(from: elements)
        return UnsafeBufferPointer(memory)
    }

    /// About how much memory it takes.
    var byteCount: Int { literals.count + steps.count * MemoryLayout<Step>.stride * 2 + places.values.reduce(0) { $0 + $1.utf8.count } }

    func place(of step: Int) -> String? { places[step] }

    private struct Compiler {
        var steps: [Step] = []
        var literals: [UInt8] = []
        var keyColumns: [Int32] = []
        var columnCount = 0
        var places: [Int: String] = [:]
        private var written = 0

        mutating func emit(_ step: Step) {
            var step = step
            step.literal = written..<literals.count
            written = literals.count
            steps.append(step)
        }

        mutating func see(_ column: Int?) { columnCount = max(columnCount, (column ?? -1) + 1) }

        mutating func key(_ columns: [Int]) -> Range<Int> {
            let start = keyColumns.count
            for column in columns {
                keyColumns.append(Int32(column))
                see(column)
            }
            return start..<keyColumns.count
        }

        mutating func add(_ shape: Shape, at place: [String]) {
            switch shape {
            case .text(let bytes): literals += bytes
            case .nested: emit(Step(operation: .nested))
            case .value(let column, let format):
                see(column)
                places[steps.count] = place.joined(separator: ".")
                emit(Step(operation: .value, format: format, column: Int32(column)))
            case .batch(let batch, let columns):
                emit(Step(operation: .hole, target: Int32(batch), key: key(columns)))
            case .object(let members, let presence):
                let start = steps.count
                if let presence {
                    see(presence)
                    emit(Step(operation: .presence, column: Int32(presence)))
                }
                for (index, member) in members.enumerated() {
                    literals.append(UInt8(ascii: index == 0 ? "{" : ","))
                    literals += member.name
                    add(member.shape, at: place + [member.key])
                }
                if members.isEmpty { literals.append(UInt8(ascii: "{")) }
                literals.append(UInt8(ascii: "}"))
                if presence != nil {
                    emit(Step(operation: .none))
                    steps[start].target = Int32(steps.count)
                }
            }
        }
    }
}
