package import ApusTypes
internal import Synchronization

/// Timers for code that has no loop of its own: a loop that runs nothing but deadlines, started when first used.
package final class Deadlines: Sendable {
    package static let shared = Deadlines()

    private let loop = EventLoop(index: -1)

    private init() { loop.start() }

    /// Runs `body` at `deadline`; gives the way to cancel it, nil if the deadline has passed and `body` has run.
    package func schedule(at deadline: Instant, _ body: @escaping @Sendable () -> Void) -> (@Sendable () -> Void)? {
        guard deadline > BootClock.now else {
            body()
            return nil
        }
        let loop = EventLoop.current ?? loop
        let slot = TimerSlot()
        loop.execute {
            slot.set(loop.timers.schedule(at: deadline, body), on: loop)
        }
        return { slot.cancel(on: loop) }
    }
}

/// A timer that may be cancelled before the loop has made it.
private final class TimerSlot: Sendable {
    private let state = Mutex<(timer: LoopTimers.ID?, isCancelled: Bool)>((nil, false))

    func set(_ timer: LoopTimers.ID, on loop: EventLoop) {
        let isCancelled = state.withLock { state in
            state.timer = timer
            return state.isCancelled
        }
        if isCancelled { loop.timers.cancel(timer) }
    }

    func cancel(on loop: EventLoop) {
        let timer = state.withLock { state in
            state.isCancelled = true
            return state.timer
        }
        guard let timer else { return }
        if loop.isCurrent { loop.timers.cancel(timer) } else { loop.execute { loop.timers.cancel(timer) } }
    }
}
