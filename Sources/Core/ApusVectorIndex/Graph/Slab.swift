internal import Glibc

/// Zeroed memory that does not move, in huge pages where it is large: a search reads it in no order, and would miss the processor's table
/// of small pages at every step.
public final class Slab: @unchecked Sendable {  // who fills it has it alone; afterwards it is only read
    public let bytes: UnsafeMutableRawBufferPointer
    static let hugePage = 2 << 20

    public init(_ count: Int) {
        let unit = count >= Self.hugePage ? Self.hugePage : 64
        let size = max(1, count + unit - 1) / unit * unit + (count == 0 ? unit : 0)
        guard let memory = aligned_alloc(unit, size) else { fatalError("out of memory for \(count) bytes") }
        if unit == Self.hugePage { madvise(memory, size, MADV_HUGEPAGE) }
        memset(memory, 0, size)
        bytes = UnsafeMutableRawBufferPointer(start: memory, count: count)
    }

    deinit { free(bytes.baseAddress) }
}
