import ApusRuntime
import ApusTypes
import Foundation
import Synchronization
import Testing

@Suite("event loop")
struct EventLoopTests {
    let loops = EventLoops(count: 2)

    @Test("a task that prefers a loop runs on it, before and after waiting")
    func taskStaysOnLoop() async throws {
        let loop = loops.all[1]
        let places = await Task(executorPreference: loop) {
            let before = loop.isCurrent
            try? await BootClock().sleep(for: .milliseconds(1))
            return [before, loop.isCurrent]
        }.value
        #expect(places == [true, true])
        loops.stop()
    }

    @Test("work from many threads all runs, each sender's in order")
    func remoteWork() async throws {
        let seen = Locked<[Int: [Int]]>([:])
        let loop = loops.first
        await withTaskGroup(of: Void.self) { group in
            for sender in 0..<8 {
                group.addTask {
                    for number in 0..<500 { loop.execute { seen.withLock { $0[sender, default: []].append(number) } } }
                }
            }
        }
        try await loop.run {}
        #expect(seen.withLock { $0 } == Dictionary(uniqueKeysWithValues: (0..<8).map { ($0, Array(0..<500)) }))
        loops.stop()
    }

    @Test("timers fire in the order of their deadlines, cancelled ones never")
    func timers() async throws {
        let loop = loops.first
        let fired = Locked<[Int]>([])
        let start = BootClock.now
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute {
                for delay in [7, 1, 5, 3] {
                    loop.timers.schedule(at: start.advanced(by: .milliseconds(delay))) { fired.withLock { $0.append(delay) } }
                }
                let cancelled = loop.timers.schedule(at: start.advanced(by: .milliseconds(2))) { fired.withLock { $0.append(-1) } }
                loop.timers.cancel(cancelled)
                loop.timers.schedule(at: start.advanced(by: .milliseconds(9))) { continuation.resume() }
            }
        }
        #expect(fired.withLock { $0 } == [1, 3, 5, 7])
        #expect(start.duration(to: BootClock.now) >= .milliseconds(9))
        loops.stop()
    }

    @Test("a loop that has ended has given its descriptors back, those of handles left open too")
    func descriptors() async throws {
        func timers() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
                // Gone meanwhile: it is none.
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == "anon_inode:[timerfd]"
            }
        }
        let before = try timers()
        for _ in 0..<300 {
            let loop = EventLoop()
            loop.start()
            loop.execute { loop.timers.schedule(at: .distantFuture) {} }
            loop.stop()
        }
        // Other tests have loops too, but not that many.
        #expect(try timers() < before + 150)
        loops.stop()
    }

    @Test("a cancelled sleep ends at once with a cancellation")
    func cancelledSleep() async throws {
        let task = Task { try await BootClock().sleep(for: .seconds(3600)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        loops.stop()
    }
}
