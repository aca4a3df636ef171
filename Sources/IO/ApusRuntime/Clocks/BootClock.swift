public import ApusTypes
internal import Glibc

/// The machine's boot-time clock. Sleeping costs a timer of the current loop.
public struct BootClock: MonotonicClock {
    public init() {}

    public static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(nanosecondsSinceBoot: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    public var now: Instant { Self.now }
    public var minimumResolution: Duration { .nanoseconds(1) }

    public var wallTime: WallTime { WallTime(millisecondsSinceEpoch: Self.realTimeMilliseconds) }

    public static var realTimeMilliseconds: Int64 { realTimeNanoseconds / 1_000_000 }

    static var realTimeNanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Returns once `deadline` has passed; throws `CancellationError` as soon as the task is cancelled.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let call = AbandonableCall<Void>()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard call.begin(continuation) else { return }
                Deadlines.shared.schedule(at: deadline) { call.finish(.success(())) }.map(call.onFinish)
            }
        } onCancel: {
            call.finish(.failure(CancellationError()))
        }
    }
}
