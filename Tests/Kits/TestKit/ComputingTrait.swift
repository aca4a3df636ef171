#if canImport(Testing)  // benchmarks use this kit too
    import Foundation
    public import Testing

    /// Runs tests that compute for seconds on threads of their own.
    ///
    /// The threads that Swift's tasks share are as few as there are cores. Two tests that compute take them all, and every other test waits
    /// behind them until its deadlines have passed.
    public struct ComputingTrait: TestTrait, SuiteTrait, TestScoping {
        public var isRecursive: Bool { true }

        public func provideScope(
            for test: Test, testCase: Test.Case?, performing function: @Sendable @concurrent () async throws -> Void
        ) async throws {
            try await withTaskExecutorPreference(Threads.shared) { try await function() }
        }

        /// A thread for each job. Dispatch's queues would not do: they share their few threads with Swift's tasks.
        private final class Threads: TaskExecutor {
            static let shared = Threads()

            func enqueue(_ job: consuming ExecutorJob) {
                let job = UnownedJob(job)
                let thread = Thread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
                thread.stackSize = 8 << 20
                thread.start()
            }
        }
    }

    extension Trait where Self == ComputingTrait {
        /// For tests that hold a thread for a second or more.
        public static var computing: Self { ComputingTrait() }
    }
#endif
