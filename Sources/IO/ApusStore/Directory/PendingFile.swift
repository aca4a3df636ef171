internal import ApusTypes
internal import Glibc
internal import Synchronization

/// An object's file while it is being written: under a temporary name, in the directory where it will stay.
///
/// Its steps run on a blocking pool, one after another. A step that hangs is abandoned by its caller; when it returns after all it
/// finds that out and removes the file itself, so that nothing becomes visible long after the put has failed.
final class PendingFile: Sendable {
    private enum State {
        /// No step runs.
        case idle
        case running
        /// The caller has gone while a step ran: that step cleans up.
        case abandoned
        /// Renamed or removed: no name is left to clean up.
        case ended
    }

    private let state = Mutex(State.idle)
    private let directory: FileDescriptor
    private let name: String
    private let key: ObjectKey
    private let isSynced: Bool
    /// Steps never overlap (`state` sees to it), so one mutex suffices and is never waited for.
    private let content = Mutex(Content())

    private struct Content: ~Copyable {
        var cutter = BlockCutter()
        var sums = ObjectSums()
        /// Nil once it is closed.
        var file: FileDescriptor?
    }

    /// `isSynced` false is for files that need not survive a power loss, because they are verified when next used: the cache's.
    init(key: ObjectKey, named name: String, in directory: FileDescriptor, isSynced: Bool) throws {
        self.key = key
        self.name = name
        self.directory = directory
        self.isSynced = isSynced
        let file = try directory.open(name, O_WRONLY | O_CREAT | O_EXCL, mode: 0o640)
        content.withLock { $0.file = file }
    }

    func write(_ piece: [UInt8]) throws {
        try step {
            try content.withLock { content in
                try content.cutter.add(piece) { try Self.add(block: $0, to: &content.sums, content.file) }
            }
        }
    }

    /// Writes the rest and the footer, makes it durable and gives it its name. The object is there when this returns.
    func commit() throws -> ObjectDescription {
        try step {
            let footer = try content.withLock { content in
                try content.cutter.finish { try Self.add(block: $0, to: &content.sums, content.file) }
                let footer = content.sums.finish()
                try content.file?.write(footer.encoded(for: key))
                if isSynced { try content.file?.sync() }
                content.file = nil
                return footer
            }
            if state.withLock({ if case .abandoned = $0 { true } else { false } }) { throw CancellationError() }
            try directory.rename(name, toNew: key.description)
            do {
                if isSynced { try directory.sync() }
            } catch {
                try directory.remove(key.description)  // it might not survive, so it must not be there now either
                state.withLock { $0 = .ended }
                throw error
            }
            state.withLock { $0 = .ended }
            return footer.description
        }
    }

    /// Removes the file, unless a step runs or it has ended. Called on the pool.
    func discard() throws {
        if state.withLock({ state in
            guard case .idle = state else { return false }
            state = .ended
            return true
        }) {
            content.withLock { $0.file = nil }
            try directory.remove(name)
        }
    }

    /// Tells a step that hangs to remove the file when it returns. False if there is none: then `discard` is to be called.
    func abandon() -> Bool {
        state.withLock { state in
            if case .running = state { state = .abandoned }
            if case .idle = state { return false }
            return true
        }
    }

    private static func add(block: UnsafeRawBufferPointer, to sums: inout ObjectSums, _ file: FileDescriptor?) throws {
        sums.add(block: block)
        try file?.write(block)
    }

    private func step<Value>(_ body: () throws -> Value) throws -> Value {
        let mayRun = state.withLock { state in
            guard case .idle = state else { return false }
            state = .running
            return true
        }
        guard mayRun else { throw CancellationError() }
        defer {
            let wasAbandoned = state.withLock { state in
                defer { if case .running = state { state = .idle } }
                if case .abandoned = state {
                    state = .ended
                    return true
                }
                return false
            }
            // A failure leaves a temporary file, which the next clean-up of leftovers removes: nobody is left to hear of it here.
            if wasAbandoned { _ = try? directory.remove(name) }
        }
        return try body()
    }
}
