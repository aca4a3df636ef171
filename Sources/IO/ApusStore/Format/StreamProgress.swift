internal import ApusTypes
internal import Synchronization

/// How far a stream of an object has got. Its steps never overlap.
final class StreamProgress: Sendable {
    private let state = Mutex(State())

    private struct State: ~Copyable {
        var footer: ObjectFooter?
        var next = 0
        var digest = IncrementalDigest()
        var isDone = false

        mutating func begin(_ key: ObjectKey, _ footer: ObjectFooter, place: String) throws -> Int? {
            self.footer = footer
            guard !isDone else { return nil }
            guard next == footer.blocks.count else { return next }
            isDone = true
            guard digest.finish() == footer.description.digest else {
                throw ApusError.corrupt(key, "its bytes do not match its digest", in: place)
            }
            return nil
        }
    }

    /// As far as it was read; objects never change.
    var footer: ObjectFooter? { state.withLock { $0.footer } }

    /// The block to be read next. Nil after the last one, when the digest of all of them has been checked.
    func begin(_ key: ObjectKey, _ footer: ObjectFooter, place: String) throws -> Int? {
        try state.withLock { try $0.begin(key, footer, place: place) }
    }

    /// `block` was read and verified.
    func took(_ block: [UInt8]) {
        state.withLock { state in
            block.withUnsafeBytes { state.digest.add($0) }
            state.next += 1
        }
    }
}
