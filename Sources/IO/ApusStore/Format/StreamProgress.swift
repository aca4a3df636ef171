internal import ApusTypes
internal import Synchronization

/// How far a stream has got. Its steps never overlap.
final class StreamProgress: Sendable {
    private let state = Mutex(State())

    private struct State: ~Copyable {
        var footer: ObjectFooter?
        var next = 0
        var digest = IncrementalDigest()
        var isDone = false

        mutating func step(_ key: ObjectKey, place: String, _ open: () throws -> (FileDescriptor, ObjectFooter)) throws -> [UInt8]? {
            guard !isDone else { return nil }
            if let footer, next == footer.blocks.count { return try finish(key, footer, place) }
            let (file, footer) = try open()
            self.footer = footer
            guard next < footer.blocks.count else { return try finish(key, footer, place) }
            let block = try footer.block(next, of: file, key: key, place: place)
            block.withUnsafeBytes { digest.add($0) }
            next += 1
            return block
        }

        private mutating func finish(_ key: ObjectKey, _ footer: ObjectFooter, _ place: String) throws -> [UInt8]? {
            isDone = true
            guard digest.finish() == footer.description.digest else {
                throw ApusError.corrupt(key, "its bytes do not match its digest", in: place)
            }
            return nil
        }
    }

    /// The next block, nil after the last one; `open` is called for each.
    func next(_ key: ObjectKey, place: String, _ open: () throws -> (FileDescriptor, ObjectFooter)) throws -> [UInt8]? {
        try state.withLock { try $0.step(key, place: place, open) }
    }
}
