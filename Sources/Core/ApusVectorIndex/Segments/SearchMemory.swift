public import ApusTypes
internal import Synchronization

/// Copies, in huge pages, of what a search reads in no order: links and codes of mapped segments.
///
/// A mapped file lies in small pages. The processor's table of pages holds a fraction of them, and a walk through a graph would miss it at
/// most of its steps. What finds no room here is read where it is mapped: a fifth to a quarter slower, and otherwise the same.
public final class SearchMemory: Sendable {
    private let limit: Int
    private let used = Atomic(0)

    public init(limit: ByteCount) { self.limit = Int(clamping: limit.bytes) }

    /// Of all copies there are.
    public var bytes: Int { used.load(ordering: .relaxed) }

    /// Of some bytes of `origin`, which lives as long as the copy. Nil where there is no room, or nothing is gained.
    func copy(_ bytes: UnsafeRawBufferPointer, of origin: any AnyObject & Sendable) -> Copy? {
        guard bytes.count >= Slab.hugePage else { return nil }
        guard used.add(bytes.count, ordering: .relaxed).newValue <= limit else {
            used.subtract(bytes.count, ordering: .relaxed)
            return nil
        }
        return Copy(bytes, of: origin, in: self)
    }

    final class Copy: Sendable {
        let slab: Slab
        private let origin: any AnyObject & Sendable
        private let memory: SearchMemory

        fileprivate init(_ bytes: UnsafeRawBufferPointer, of origin: any AnyObject & Sendable, in memory: SearchMemory) {
            slab = Slab(bytes.count)
            slab.bytes.copyMemory(from: bytes)
            self.origin = origin
            self.memory = memory
        }

        deinit { memory.used.subtract(slab.bytes.count, ordering: .relaxed) }
    }
}
