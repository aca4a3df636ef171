internal import ApusRuntime
internal import ApusTypes

/// Tells what a server publishes to all who listen on this node, over one connection, which is there as long as somebody listens.
///
/// A server that goes away, or does not answer for some seconds, ends what is listened to: nobody knows what was published meanwhile.
final class RedisListener: @unchecked Sendable {  // all state but the constants is touched on `loop` only
    struct Options: Sendable {
        /// Who may listen at the same time.
        var listeners = 1_000
        /// What may wait for each of them.
        var messages = 256
        var bytes = ByteCount.mebibytes(1)
        /// A server that is silent is asked after a pause whether it is there, and has so long to answer anything.
        var pause = Duration.seconds(2)
        var patience = Duration.seconds(3)
    }

    private let loop: EventLoop
    private let finder: RedisFinder
    private let login: RedisLogin
    private let options: Options
    private var feed: RedisFeed?
    private var isFinding = false
    private var isClosed = false
    /// Addresses of the server that were not tried; none once one has answered.
    private var untried: [(address: String, port: Int)] = []
    private var topics = RedisTopics()
    private var listeners: [Int: (topic: RedisTopic, subscription: RedisSubscription)] = [:]
    private var count = 0
    private var unanswered: [(what: Asked, at: Instant)] = []
    private var isTicking = false

    private enum Asked { case login, ping, subscribe(RedisTopic), unsubscribe(RedisTopic) }

    init(_ finder: RedisFinder, _ login: RedisLogin, on loop: EventLoop, options: Options = Options()) {
        (self.finder, self.login, self.loop, self.options) = (finder, login, loop, options)
    }

    /// Returns when everything that is published from then on will be heard. Throws `source.unavailable`, `source.rejected` where the server
    /// refuses the topic, `source.busy` where too many listen.
    func listen(to topic: RedisTopic, deadline: Instant) async throws -> RedisSubscription {
        let number = try await loop.run { [self] in
            count += 1
            return count
        }
        let subscription = RedisSubscription(messages: options.messages, bytes: options.bytes) { [self] in
            loop.execute { self.leave(number) }
        }
        loop.execute { self.join(number, topic, subscription) }
        do {
            try await withDeadline(deadline, "subscribing") { try await subscription.begun() }
            return subscription
        } catch {
            subscription.close()
            throw error
        }
    }

    func close() async {
        await withCheckedContinuation { continuation in
            loop.execute { [self] in
                isClosed = true
                end("the data source was changed or unloaded")
                continuation.resume()
            }
        }
    }

    // MARK: On the loop

    private func join(_ number: Int, _ topic: RedisTopic, _ subscription: RedisSubscription) {
        guard !isClosed else { return subscription.end(ended("the data source was changed or unloaded")) }
        guard listeners.count < options.listeners else {
            return subscription.end(
                ApusError(.sourceBusy, "\(options.listeners) subscriptions to \(finder) are open on this node", hint: "end some of them"))
        }
        listeners[number] = (topic, subscription)
        carryOut(topics.join(number, topic))
        if feed == nil, !isFinding { find() }
    }

    private func leave(_ number: Int) {
        guard let (topic, _) = listeners.removeValue(forKey: number) else { return }
        carryOut(topics.leave(number, topic))
    }

    private func carryOut(_ effects: [RedisTopics.Effect]) {
        for effect in effects {
            switch effect {
            case .subscribe(let topic): ask(.subscribe(topic), RedisCommand(topic.isPattern ? "PSUBSCRIBE" : "SUBSCRIBE", topic.name))
            case .unsubscribe(let topic):
                ask(.unsubscribe(topic), RedisCommand(topic.isPattern ? "PUNSUBSCRIBE" : "UNSUBSCRIBE", topic.name))
            case .begun(let numbers): for number in numbers { listeners[number]?.subscription.begin() }
            case .refused(let numbers, let why):
                for number in numbers {
                    listeners.removeValue(forKey: number)?.subscription.end(
                        ApusError(.sourceRejected, "Redis refuses the subscription: \(why)"))
                }
            }
        }
        // Who is not connected asks for all topics when it is.
        guard topics.isEmpty, !isFinding else { return }
        feed?.close()
        feed = nil
        unanswered = []
    }

    private func ask(_ what: Asked, _ command: RedisCommand) {
        guard let feed else { return }
        unanswered.append((what, BootClock.now))
        feed.send(command)
    }

    private func find() {
        isFinding = true
        // Ends at its deadline, and hands over to the loop.
        Task(executorPreference: loop) { [self] in
            let found: Result<[(address: String, port: Int)], any Error>
            do {
                found = .success(try await finder.places(on: loop, deadline: BootClock.now.advanced(by: options.patience)))
            } catch {
                found = .failure(error)
            }
            loop.execute { [self] in
                isFinding = false
                switch found {
                case .success(let places):
                    untried = places
                    connect()
                case .failure(let error): end((error as? ApusError)?.summary ?? "\(error)")
                }
            }
        }
    }

    private func connect() {
        guard !untried.isEmpty, !isClosed else { return end("it has no address") }
        guard !listeners.isEmpty else { return topics = RedisTopics() }
        let (address, port) = untried.removeFirst()
        unanswered = []
        do {
            feed = try RedisFeed(
                address, port: port, on: loop, received: { [self] in take($0) },
                ended: { [self] error in
                    feed = nil
                    untried.isEmpty ? end(error.summary) : connect()
                })
        } catch {
            return untried.isEmpty ? end(error.summary) : connect()
        }
        if let password = login.password?.reveal(), !password.isEmpty {
            ask(.login, login.user.isEmpty ? RedisCommand("AUTH", password) : RedisCommand("AUTH", login.user, password))
        }
        // All anew: nothing was asked of this connection.
        let known = listeners
        topics = RedisTopics()
        for (number, listener) in known { carryOut(topics.join(number, listener.topic)) }
        if !isTicking { tick() }
    }

    private func take(_ reply: RedisReply) {
        untried = []
        let words = reply.list
        if words.count == 3, words[0].text == "message", case .bytes(let channel) = words[1], case .bytes(let payload) = words[2] {
            return tell(RedisTopic(words[1].text ?? ""), .init(channel: channel, payload: payload))
        }
        if words.count == 4, words[0].text == "pmessage", case .bytes(let channel) = words[2], case .bytes(let payload) = words[3] {
            return tell(RedisTopic(words[1].text ?? "", isPattern: true), .init(channel: channel, payload: payload))
        }
        guard !unanswered.isEmpty else { return end("it answers what nobody asked") }
        switch unanswered.removeFirst().what {
        case .login: if let refusal = reply.error { end("the server refuses: \(refusal)") }
        case .ping: break
        case .subscribe(let topic): carryOut(reply.error.map { topics.refused(topic, why: $0) } ?? topics.subscribed(topic))
        case .unsubscribe(let topic): carryOut(topics.unsubscribed(topic))
        }
    }

    private func tell(_ topic: RedisTopic, _ message: RedisSubscription.Message) {
        for number in topics.listeners(of: topic) {
            if listeners[number]?.subscription.take(message) == false { leave(number) }
        }
    }

    /// Looks after a server that may be frozen, as long as there is a connection.
    private func tick() {
        isTicking = feed != nil
        guard isTicking else { return }
        let now = BootClock.now
        if let oldest = unanswered.first, oldest.at.advanced(by: options.patience) <= now {
            end("the server did not answer in time")
        } else if unanswered.isEmpty {
            ask(.ping, RedisCommand("PING"))
        }
        _ = loop.timers.schedule(at: now.advanced(by: options.pause)) { [self] in tick() }
    }

    private func ended(_ why: String) -> ApusError {
        ApusError(
            .sourceUnavailable, "\(finder) tells nothing more: \(why). What is published meanwhile is not heard; subscribe again")
    }

    private func end(_ why: String) {
        feed?.close()
        feed = nil
        (untried, unanswered) = ([], [])
        topics = RedisTopics()
        let all = listeners
        listeners = [:]
        for (_, listener) in all { listener.subscription.end(ended(why)) }
    }
}
