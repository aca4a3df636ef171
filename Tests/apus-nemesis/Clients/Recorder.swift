internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import NemesisKit
internal import Synchronization

/// Keeps what happens in a run in the order in which it does, in memory and in a file.
final class Recorder: Sendable {
    private struct State {
        var lines: [HistoryLine] = []
        var operations = 0
        var values = 0
    }

    private let state = Mutex(State())
    private let file: Int32

    init(path: String, values: ValueSpace, replicas: [String: Int]) throws {
        file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw ApusError(.outputUncreatable, "\(path) cannot be written") }
        add(.values(values, replicas: replicas))
    }

    deinit { close(file) }

    /// A number that no value had before.
    func nextValue() -> Int {
        state.withLock {
            $0.values += 1; return $0.values
        }
    }

    /// The operation's number.
    func invoked(_ client: String, _ collection: String, _ action: Operation.Action) -> Int {
        state.withLock { state in
            state.operations += 1
            add(
                .invoked(
                    Operation(
                        number: state.operations, client: client, collection: collection, action: action, invoked: BootClock.now)), &state)
            return state.operations
        }
    }

    func completed(_ number: Int, _ completion: Operation.Completion) { add(.completed(number: number, completion)) }

    func add(_ line: HistoryLine) { state.withLock { add(line, &$0) } }

    private func add(_ line: HistoryLine, _ state: inout State) {
        state.lines.append(line)
        let bytes = line.json.serialized() + [10]
        write(file, bytes, bytes.count)
    }

    func history() throws -> History { try History(lines: state.withLock { $0.lines }) }
    var operations: Int { state.withLock { $0.operations } }
}
