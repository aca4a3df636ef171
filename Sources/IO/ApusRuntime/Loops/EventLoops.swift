internal import Glibc
internal import Synchronization

/// The process's loops: one for each core by default.
public final class EventLoops: Sendable {
    public let all: [EventLoop]
    private let turn = Atomic<Int>(0)

    /// Creates and starts the loops.
    public init(count: Int = EventLoops.coreCount) {
        all = (0..<max(1, count)).map(EventLoop.init(index:))
        all.forEach { $0.start() }
    }

    /// Cores that this process may run on.
    public static var coreCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    public var first: EventLoop { all[0] }

    /// The loop of the calling thread, else the next one in turn.
    public var any: EventLoop {
        EventLoop.current ?? all[turn.wrappingAdd(1, ordering: .relaxed).newValue.magnitude.remainder(all.count)]
    }

    public func stop() { all.forEach { $0.stop() } }
}

extension UInt {
    fileprivate func remainder(_ count: Int) -> Int { Int(self % UInt(count)) }
}
