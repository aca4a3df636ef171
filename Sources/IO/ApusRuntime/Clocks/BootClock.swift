public import ApusTypes
internal import Glibc

/// The machine's boot-time clock. Sleeping costs a timer of the current loop; off the loops it costs one of the first loop's.
public struct BootClock: MonotonicClock {
    private let loops: EventLoops

    init(loops: EventLoops) { self.loops = loops }

    public static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(nanosecondsSinceBoot: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    public var now: Instant { Self.now }
    public var minimumResolution: Duration { .nanoseconds(1) }

    public var wallTime: WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(millisecondsSinceEpoch: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Returns once `deadline` has passed; throws `CancellationError` as soon as the task is cancelled.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let loop = EventLoop.current ?? loops.first
        let sleeper = Sleeper()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard sleeper.arm(continuation) else { return }
                loop.execute {
                    guard sleeper.isWaiting else { return }
                    let timer = loop.timers.schedule(at: deadline) { sleeper.finish(.success(())) }
                    sleeper.onFinish { loop.execute { loop.timers.cancel(timer) } }
                }
            }
        } onCancel: {
            sleeper.finish(.failure(CancellationError()))
        }
    }
}
