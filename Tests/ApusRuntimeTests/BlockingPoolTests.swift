import ApusTypes
import Glibc
import Synchronization
import Testing

@testable import ApusRuntime

@Suite("blocking pool")
struct BlockingPoolTests {
    @Test("gives results and errors back, and uses no more threads than it may")
    func results() async throws {
        let pool = BlockingPool(name: "test", threads: 3, queueLimit: 100)
        let running = Locked<(now: Int, most: Int)>((0, 0))
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<50 {
                group.addTask {
                    try await pool.run {
                        running.withLock {
                            $0.now += 1
                            $0.most = max($0.most, $0.now)
                        }
                        usleep(500)
                        running.withLock { $0.now -= 1 }
                        return number
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 1225)
        #expect(running.withLock { $0.most } <= 3)
        await #expect(throws: ApusError.self) { try await pool.run { throw ApusError(.storeFull, "full") } }
    }

    @Test("abandons a call that hangs at its deadline; the next call finds another thread")
    func abandons() async throws {
        let pool = BlockingPool(name: "test", threads: 2, queueLimit: 4)
        let gate = Gate()
        let error = await #expect(throws: ApusError.self) {
            try await pool.run(deadline: BootClock.now.advanced(by: .milliseconds(20))) { gate.wait() }
        }
        #expect(error?.code == .deadlineExceeded)
        #expect(try await pool.run { 7 } == 7)
        gate.open()
    }

    @Test("a thread that is busy takes the next work by itself: no wake-up is left over for it")
    func noSurplus() async throws {
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 100)
        let gate = Gate()
        let first = Task { try await pool.run { gate.wait() } }
        await gate.entered()
        let rest = (0..<20).map { number in Task { try await pool.run { number } } }
        while pool.waiting < 20 { await Task.yield() }
        #expect(pool.pendingWakes == 0)
        gate.open()
        for (number, task) in rest.enumerated() { #expect(try await task.value == number) }
        try await first.value
    }

    @Test("refuses what does not fit its queue")
    func refuses() async throws {
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 1)
        let gate = Gate()
        let first = Task { try await pool.run { gate.wait() } }
        await gate.entered()
        let second = Task { try await pool.run { 2 } }
        while pool.waiting == 0 { await Task.yield() }
        let error = await #expect(throws: ApusError.self) { try await pool.run { 3 } }
        #expect(error?.code == .overloaded)
        gate.open()
        #expect(try await second.value == 2)
        try await first.value
    }
}

/// Holds a thread until it is opened.
final class Gate: Sendable {
    private let isOpen = Atomic<Bool>(false)
    private let isEntered = Atomic<Bool>(false)

    func wait() {
        isEntered.store(true, ordering: .relaxed)
        while !isOpen.load(ordering: .relaxed) { usleep(200) }
    }

    func open() { isOpen.store(true, ordering: .relaxed) }
    func entered() async { while !isEntered.load(ordering: .relaxed) { await Task.yield() } }
}

/// Shared state of a test.
final class Locked<Value>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: sending Value) { mutex = Mutex(value) }

    func withLock<Result>(_ body: (inout sending Value) -> sending Result) -> sending Result { mutex.withLock(body) }
}
