/// Runs bodies that end only when they are cancelled, or fail, side by side: when one of them ends, so do the others. Throws what that one threw.
public func runTogether(_ bodies: (@Sendable () async throws -> Void)...) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for body in bodies { group.addTask { try await body() } }
        try await group.next()
        group.cancelAll()
    }
}
