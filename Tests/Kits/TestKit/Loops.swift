public import ApusRuntime

/// Loops for tests; never stopped, so that child processes live as long as the test process.
public enum TestLoops {
    public static let shared = EventLoops(count: 2)
}

/// Waits until `condition` holds, looking every 5 ms; throws after `seconds`.
public func eventually(
    within seconds: Double = 20, _ what: String, _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let end = clock.now.advanced(by: .milliseconds(Int64(seconds * 1000)))
    while true {
        // On a machine that is busy with other tests one look may take all the time: the last one begins after it.
        let isLast = clock.now >= end
        if try await condition() { return }
        if isLast { throw TestKitError("not within \(seconds) s: \(what)") }
        try await clock.sleep(for: .milliseconds(5))
    }
}
