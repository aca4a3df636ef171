internal import ApusTypes
internal import CPostgreSQL

/// One COPY: bytes into a table, or out of one. Used on the session's loop only.
final class PostgreSQLCopy: @unchecked Sendable {  // made by the caller, then touched on the session's loop only
    let sql: StaticSQL
    private var input: [[UInt8]]
    private var nextChunk = 0
    private let output: @Sendable ([UInt8]) -> Void
    private var continuation: CheckedContinuation<Int, any Error>?
    private var phase = Phase.starting
    private var failure: ApusError?
    private var rows = 0

    /// starting -> sending or receiving -> ending
    private enum Phase { case starting, sending, receiving, ending }

    init(
        _ sql: StaticSQL, input: [[UInt8]], output: @escaping @Sendable ([UInt8]) -> Void,
        _ continuation: CheckedContinuation<Int, any Error>
    ) {
        self.sql = sql
        self.input = input
        self.output = output
        self.continuation = continuation
    }

    func finish(_ result: Result<Int, any Error>) {
        continuation.take()?.resume(with: result)
    }

    /// Goes on as far as the socket allows; true when the COPY has ended and its caller was answered.
    func advance(_ handle: OpaquePointer) -> Bool {
        while true {
            switch phase {
            case .starting, .ending:
                guard PQisBusy(handle) == 0 else { return false }
                guard let result = PQgetResult(handle) else {
                    finish(failure.map(Result.failure) ?? .success(rows))
                    return true
                }
                defer { PQclear(result) }
                switch PQresultStatus(result) {
                case PGRES_COPY_IN: phase = .sending
                case PGRES_COPY_OUT: phase = .receiving
                case PGRES_COMMAND_OK:
                    rows = Int(String(cString: PQcmdTuples(result))) ?? 0
                    phase = .ending
                default:
                    failure = ServerReport(result).error
                    phase = .ending
                }
            case .sending:
                guard send(handle) else { return false }
            case .receiving:
                guard receive(handle) else { return false }
            }
        }
    }

    /// False when the socket is full.
    private func send(_ handle: OpaquePointer) -> Bool {
        while nextChunk < input.count {
            let status = input[nextChunk].withUnsafeBytes {
                PQputCopyData(handle, $0.baseAddress?.assumingMemoryBound(to: CChar.self), Int32($0.count))
            }
            guard status != 0 else { return false }
            guard status > 0 else { break }  // the server gave up: its result says why
            input[nextChunk] = []
            nextChunk += 1
        }
        guard PQputCopyEnd(handle, nil) != 0 else { return false }
        phase = .ending
        return true
    }

    /// False when no more has arrived.
    private func receive(_ handle: OpaquePointer) -> Bool {
        while true {
            var row: UnsafeMutablePointer<CChar>?
            let count = PQgetCopyData(handle, &row, 1)
            if count == 0 { return false }
            guard count > 0, let row else {
                phase = .ending
                return true
            }
            output(Array(UnsafeRawBufferPointer(start: row, count: Int(count))))
            PQfreemem(row)
        }
    }
}
