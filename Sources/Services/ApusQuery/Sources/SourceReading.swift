public import ApusTypes
internal import Synchronization

/// The rows of a statement in pieces, so that there may be more of them than memory holds.
public protocol RowPieces: AnyObject, Sendable {
    /// The next rows; nil at the end.
    func next() async throws -> SourceRows?
    /// Ends with what is under way. Called once, whatever happened before.
    func close() async
}

/// Statements that are read in pieces. All of one source see one state of its data, where its engine can do so.
public protocol SourceReading: AnyObject, Sendable {
    func open(_ statement: SourceStatement) async throws -> any RowPieces
}

/// All rows at once, of a source that has no pieces.
final class WholeRows: RowPieces {
    private let read: @Sendable () async throws -> SourceRows
    private let isRead = Mutex(false)

    init(_ read: @escaping @Sendable () async throws -> SourceRows) { self.read = read }

    func next() async throws -> SourceRows? {
        let isFirst = isRead.withLock { isRead in
            defer { isRead = true }
            return !isRead
        }
        return isFirst ? try await read() : nil
    }

    func close() async {}
}

final class WholeReading: SourceReading {
    private let source: any SQLSource
    private let deadline: Instant

    init(_ source: any SQLSource, deadline: Instant) {
        self.source = source
        self.deadline = deadline
    }

    func open(_ statement: SourceStatement) async throws -> any RowPieces {
        WholeRows { [source, deadline] in try await source.read(statement, deadline: deadline) }
    }
}

extension SQLSource {
    public func reading<Value: Sendable>(
        deadline: Instant, _ body: (any SourceReading) async throws -> Value
    ) async throws -> Value {
        try await body(WholeReading(self, deadline: deadline))
    }
}
