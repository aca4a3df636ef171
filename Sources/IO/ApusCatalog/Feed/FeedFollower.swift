internal import ApusTypes

/// Follows the change feed from a position: every change once and in order, or the word that everything must be read anew.
///
/// Reads only when asked for the next event, so a slow follower is behind, never a growing queue.
public struct FeedFollower: AsyncSequence, Sendable {
    public typealias Element = FeedEvent

    let feed: ChangeFeed
    let access: CatalogAccess
    let position: FeedPosition?
    let onProblem: @Sendable (any Error) -> Void

    public func makeAsyncIterator() -> Iterator {
        Iterator(feed: feed, access: access, position: position, onProblem: onProblem)
    }

    public struct Iterator: AsyncIteratorProtocol {
        let feed: ChangeFeed
        let access: CatalogAccess
        /// What the consumer has been told so far; nil before the first `.rebuild`.
        public private(set) var position: FeedPosition?
        let onProblem: @Sendable (any Error) -> Void

        /// Throws `CancellationError` only.
        public mutating func next() async throws -> FeedEvent? {
            var reason = "the first read"
            while true {
                try Task.checkCancellation()
                let generation = access.changed.generation
                let deadline = access.clock.now.advanced(by: .seconds(2))
                do {
                    guard let from = position else {
                        let head = try await feed.head(deadline: deadline)
                        position = head
                        return .rebuild(head, reason: reason)
                    }
                    let changes = try await feed.read(from: from, deadline: deadline)
                    if let last = changes.last {
                        let reached = FeedPosition(incarnation: access.incarnation, version: last.version, digest: last.digest)
                        position = reached
                        return .changes(changes, position: reached)
                    }
                } catch let error as ApusError where error.code == .catalogRewound {
                    reason = error.summary
                    position = nil
                    continue
                } catch let error as ApusError {
                    onProblem(error)
                }
                try await access.changed.wait(
                    after: generation, until: access.clock.now.advanced(by: ChangeFeed.pollInterval), clock: access.clock)
            }
        }
    }
}
