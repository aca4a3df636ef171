import ApusTypes
import TestKit
import Testing

@testable import ApusCache

@Suite("topics of Redis that are listened to")
struct RedisTopicsTests {
    private let a = RedisTopic("a")

    @Test("a topic is asked for with the first listener and left with the last")
    func shared() {
        var topics = RedisTopics()
        #expect(topics.join(1, a) == [.subscribe(a)])
        #expect(topics.join(2, a) == [])
        #expect(topics.subscribed(a) == [.begun([1, 2])])
        #expect(topics.join(3, a) == [.begun([3])])
        #expect(topics.join(4, RedisTopic("a", isPattern: true)) == [.subscribe(RedisTopic("a", isPattern: true))])
        for listener in [1, 3] { #expect(topics.leave(listener, a) == []) }
        #expect(topics.leave(3, a) == [], "it has left already")
        #expect(topics.leave(2, a) == [.unsubscribe(a)])
        #expect(topics.unsubscribed(a) == [] && topics.listeners(of: a).isEmpty && !topics.isEmpty)
    }

    @Test("who joins while a topic is left is told when it was asked for anew; who leaves before it is told costs nothing but that")
    func crossing() {
        var topics = RedisTopics()
        _ = topics.join(1, a)
        #expect(topics.leave(1, a) == [], "the server has not answered")
        #expect(topics.subscribed(a) == [.unsubscribe(a)])
        #expect(topics.join(2, a) == [])
        #expect(topics.unsubscribed(a) == [.subscribe(a)])
        #expect(topics.subscribed(a) == [.begun([2])])
        #expect(topics.refused(RedisTopic("b"), why: "") == [])
        _ = topics.join(3, RedisTopic("b"))
        #expect(topics.refused(RedisTopic("b"), why: "NOPERM") == [.refused([3], why: "NOPERM")])
    }

    /// A server that answers in order, at any time later.
    @Test("who waits hears nothing yet; names that differ in bytes are different topics")
    func hearing() {
        var topics = RedisTopics()
        let topic = RedisTopic("caf\u{e9}"), other = RedisTopic("cafe\u{301}")
        #expect(topics.join(1, topic) == [.subscribe(topic)] && topics.listeners(of: topic).isEmpty)
        #expect(topics.subscribed(topic) == [.begun([1])] && topics.listeners(of: topic) == [1])
        #expect(topics.leave(1, topic) == [.unsubscribe(topic)] && topics.join(2, topic) == [])
        #expect(topics.listeners(of: topic).isEmpty, "what is published until it is asked for anew would be followed by a gap")
        #expect(topic != other && topics.join(3, other) == [.subscribe(other)])
    }

    @Test("whoever joins and leaves when: each topic is asked for and left in turns, and in the end those are told that are listened to")
    func anyOrder() {
        for seed in UInt64(1)...200 {
            var random = SeededGenerator(seed: seed)
            var topics = RedisTopics()
            var pending: [RedisTopics.Effect] = []
            var told: Set<RedisTopic> = []
            var joined: [Int: RedisTopic] = [:]
            var begun: Set<Int> = []
            func carryOut(_ effects: [RedisTopics.Effect]) {
                for effect in effects {
                    switch effect {
                    case .begun(let listeners): begun.formUnion(listeners)
                    case .refused: Issue.record("nothing was refused")
                    default: pending.append(effect)
                    }
                }
            }
            func answer() {
                switch pending.removeFirst() {
                case .subscribe(let topic):
                    #expect(told.insert(topic).inserted, "seed \(seed): asked for twice")
                    carryOut(topics.subscribed(topic))
                case .unsubscribe(let topic):
                    #expect(told.remove(topic) != nil, "seed \(seed): left twice")
                    carryOut(topics.unsubscribed(topic))
                default: break
                }
            }
            for listener in 0..<60 {
                switch Int.random(in: 0..<3, using: &random) {
                case 0 where !joined.isEmpty:
                    let leaving = joined.keys.sorted()[Int.random(in: 0..<joined.count, using: &random)]
                    carryOut(topics.leave(leaving, joined.removeValue(forKey: leaving)!))  // one of its keys
                case 1 where !pending.isEmpty: answer()
                default:
                    let topic = RedisTopic("t\(Int.random(in: 0..<3, using: &random))")
                    joined[listener] = topic
                    carryOut(topics.join(listener, topic))
                }
            }
            while !pending.isEmpty { answer() }
            #expect(told == Set(joined.values), "seed \(seed)")
            #expect(Set(joined.keys).isSubset(of: begun), "seed \(seed)")
            #expect(topics.isEmpty == joined.isEmpty, "seed \(seed)")
        }
    }
}
