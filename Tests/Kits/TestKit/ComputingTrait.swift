#if canImport(Testing)  // benchmarks use this kit too
    import Dispatch
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

        private final class Threads: TaskExecutor {
            static let shared = Threads()
            private let queue = DispatchQueue(label: "computing tests", attributes: .concurrent)

            func enqueue(_ job: consuming ExecutorJob) {
                let job = UnownedJob(job)
                queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
            }
        }
    }

    extension Trait where Self == ComputingTrait {
        /// For tests that hold a thread for a second or more.
        public static var computing: Self { ComputingTrait() }
    }
#endif
