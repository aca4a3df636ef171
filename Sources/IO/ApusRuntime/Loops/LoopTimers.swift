public import ApusTypes
internal import CLinux
internal import CUV
internal import Glibc

/// The timers of one loop, on the boot-time clock: one `timerfd` and a heap of deadlines.
///
/// libuv's own timers stand still while the machine is suspended; a lease must not. Loop thread only.
public final class LoopTimers: @unchecked Sendable {  // every method asserts or is documented to run on the loop's thread
    private var heap: [Entry] = []
    private var live: Set<UInt64> = []
    private var nextID: UInt64 = 0
    private let descriptor: Int32
    private let poll: UnsafeMutablePointer<uv_poll_t>
    private var armedFor: Instant = .distantFuture

    /// Names a timer, to cancel it.
    public struct ID: Hashable, Sendable { fileprivate let value: UInt64 }

    private struct Entry {
        var deadline: Instant
        var id: UInt64
        var body: @Sendable () -> Void
    }

    init(uv: UnsafeMutablePointer<uv_loop_t>) {
        descriptor = apus_timerfd_create_boottime()
        precondition(descriptor >= 0, "cannot create a timer: out of file descriptors")
        poll = .allocate(capacity: 1)
        uv_poll_init(uv, poll, descriptor)
        poll.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { handle, _, _ in
            Unmanaged<LoopTimers>.fromOpaque(handle!.pointee.data).takeUnretainedValue().fire()  // set two lines above
        }
    }

    /// Runs `body` on the loop's thread once `deadline` has passed. Call on the loop's thread.
    @discardableResult
    public func schedule(at deadline: Instant, _ body: @escaping @Sendable () -> Void) -> ID {
        nextID += 1
        live.insert(nextID)
        push(Entry(deadline: deadline, id: nextID, body: body))
        arm()
        return ID(value: nextID)
    }

    /// The timer does not fire any more. Call on the loop's thread.
    public func cancel(_ id: ID) {
        live.remove(id.value)
        // Cancelled entries leave when they reach the top; a sweep keeps the heap from being mostly dead.
        if heap.count > 64, heap.count > 4 * live.count {
            let kept = heap.filter { live.contains($0.id) }
            heap.removeAll(keepingCapacity: true)
            kept.forEach { push($0) }
        }
    }

    /// The loop has ended.
    func close() { Glibc.close(descriptor) }

    private func fire() {
        var expirations: UInt64 = 0
        _ = read(descriptor, &expirations, 8)
        armedFor = .distantFuture
        let now = BootClock.now
        while let first = heap.first, first.deadline <= now {
            let entry = pop()
            if live.remove(entry.id) != nil { entry.body() }
        }
        arm()
    }

    private func arm() {
        while let first = heap.first, !live.contains(first.id) { _ = pop() }
        guard let first = heap.first, first.deadline != armedFor else { return }
        armedFor = first.deadline
        apus_timerfd_arm(descriptor, max(1, first.deadline.nanosecondsSinceBoot))
    }

    // MARK: Binary heap, earliest deadline first

    private func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private func pop() -> Entry {
        heap.swapAt(0, heap.count - 1)
        let top = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].deadline < heap[least].deadline {
                least = child
            }
            guard least != parent else { return top }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
