internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes

/// How far a node has followed the catalog, and what it holds.
public struct NodeProgress: Sendable, Hashable {
    /// The last change of the feed that it has applied.
    public var feed: Int64
    public var digest: Digest
    /// Points of its replicas.
    public var points: Int
    public var memory: ByteCount
    /// Of each replica, the last operation of its log that it has applied.
    public var applied: [ShardID: Int64]
}

extension NodeProgress: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(feed, digest, points, memory.bytes, applied) }

    public init(from reader: inout WireReader) throws(ApusError) {
        feed = try reader.read()
        digest = try reader.read()
        points = try reader.read()
        memory = ByteCount(try reader.read())
        applied = try reader.read()
    }
}

/// Asks a node how far it is, after it has caught up with a place in the feed, if it does in time.
struct ProgressMessage: WireValue {
    var feed: Int64

    init(after feed: Int64) { self.feed = feed }

    func write(to writer: inout WireWriter) { writer.write(feed) }
    init(from reader: inout WireReader) throws(ApusError) { feed = try reader.read() }
}

extension VectorService {
    /// How far nodes are now; those that do not say so by the deadline are left out.
    public func progress(of nodes: [NodeName], deadline: Instant) async -> [NodeName: NodeProgress] {
        await synchronize(nodes, to: 0, deadline: deadline)
    }

    /// Has nodes catch up with a place in the feed and with the logs of now, which takes each a second at most; how far they are then.
    public func synchronize(_ nodes: [NodeName], to feed: Int64, deadline: Instant) async -> [NodeName: NodeProgress] {
        let message = ProgressMessage(after: feed)
        let deadline = min(deadline, clock.now.advanced(by: options.peerPatience))
        return await withTaskGroup(of: (NodeName, NodeProgress?).self) { tasks in
            for node in nodes {
                tasks.addTask {
                    do {
                        guard let peers = self.peers, node != peers.node else {
                            return (node, try await self.answer(message, deadline: deadline))
                        }
                        let reply = try await peers.call(node, PeerMethod.progress.rawValue, message.wireBytes, deadline: deadline)
                        return (node, try NodeProgress(wireBytes: reply))
                    } catch {
                        self.log.debug("a node does not say how far it is", ["node": node.rawValue, "error": "\(error)"])
                        return (node, nil)
                    }
                }
            }
            var found: [NodeName: NodeProgress] = [:]
            for await (node, progress) in tasks { found[node] = progress }
            return found
        }
    }

    func answer(_ message: ProgressMessage, deadline: Instant) async throws -> NodeProgress {
        if message.feed > 0 {
            let patience = min(deadline, clock.now.advanced(by: .seconds(1)))
            _ = await followed.wait(for: message.feed, until: patience)
            let now = clock.now.nanosecondsSinceBoot
            wake.rise(by: 1)
            for shard in hostedShards() where shard.problem == nil { _ = await shard.lookedAt.wait(for: now, until: patience) }
        }
        let shards = hostedShards()
        let place = place
        return NodeProgress(
            feed: place?.version ?? 0, digest: place?.digest ?? .origin, points: shards.reduce(0) { $0 + $1.points },
            memory: ByteCount(shards.reduce(0) { $0 + $1.description.memory.bytes }),
            applied: Dictionary(shards.map { ($0.id, $0.description.applied) }, uniquingKeysWith: { first, _ in first }))
    }
}
