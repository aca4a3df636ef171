/// What is published: on one channel, or on those that fit a glob pattern.
public struct RedisTopic: Sendable, Hashable {
    public var name: String
    public var isPattern: Bool

    public init(_ name: String, isPattern: Bool = false) {
        self.name = name
        self.isPattern = isPattern
    }

    /// Names are bytes to the server: two that Unicode holds for the same are two.
    public static func == (one: Self, other: Self) -> Bool {
        one.isPattern == other.isPattern && one.name.utf8.elementsEqual(other.name.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(isPattern)
        for byte in name.utf8 { hasher.combine(byte) }
    }
}

/// What a server is asked to tell one connection, for all who listen there.
///
/// A topic is asked -> told -> left -> gone. It is asked for once, for the first who listens, and left with the last. Who joins while it is
/// left waits until that is done, and then it is asked for anew.
struct RedisTopics {
    enum Effect: Hashable {
        case subscribe(RedisTopic)
        case unsubscribe(RedisTopic)
        /// These are told from now on.
        case begun(Set<Int>)
        case refused(Set<Int>, why: String)
    }

    private enum Phase { case asked, told, left }

    private struct Standing {
        var phase: Phase
        var listeners: Set<Int> = []
        /// Of them: those who have not been told yet.
        var waiting: Set<Int> = []
    }

    private var topics: [RedisTopic: Standing] = [:]

    var isEmpty: Bool { topics.isEmpty }

    /// Those who have been told that they hear it.
    func listeners(of topic: RedisTopic) -> Set<Int> { topics[topic].map { $0.listeners.subtracting($0.waiting) } ?? [] }

    mutating func join(_ listener: Int, _ topic: RedisTopic) -> [Effect] {
        var standing = topics[topic] ?? Standing(phase: .asked)
        let isNew = standing.listeners.isEmpty && standing.phase == .asked && topics[topic] == nil
        standing.listeners.insert(listener)
        if standing.phase != .told { standing.waiting.insert(listener) }
        topics[topic] = standing
        return isNew ? [.subscribe(topic)] : standing.phase == .told ? [.begun([listener])] : []
    }

    mutating func leave(_ listener: Int, _ topic: RedisTopic) -> [Effect] {
        topics[topic]?.waiting.remove(listener)
        guard topics[topic]?.listeners.remove(listener) != nil else { return [] }
        return leaveIfUnheard(topic)
    }

    /// The server answers that it tells of a topic.
    mutating func subscribed(_ topic: RedisTopic) -> [Effect] {
        guard let standing = topics[topic] else { return [] }
        topics[topic]?.phase = .told
        topics[topic]?.waiting = []
        return (standing.waiting.isEmpty ? [] : [.begun(standing.waiting)]) + leaveIfUnheard(topic)
    }

    mutating func refused(_ topic: RedisTopic, why: String) -> [Effect] {
        topics.removeValue(forKey: topic).map { [.refused($0.listeners, why: why)] } ?? []
    }

    /// The server answers that it tells of it no more.
    mutating func unsubscribed(_ topic: RedisTopic) -> [Effect] {
        guard let standing = topics[topic] else { return [] }
        if standing.listeners.isEmpty {
            topics[topic] = nil
            return []
        }
        topics[topic]?.phase = .asked
        return [.subscribe(topic)]
    }

    private mutating func leaveIfUnheard(_ topic: RedisTopic) -> [Effect] {
        guard let standing = topics[topic], standing.listeners.isEmpty, standing.phase == .told else { return [] }
        topics[topic]?.phase = .left
        return [.unsubscribe(topic)]
    }
}
