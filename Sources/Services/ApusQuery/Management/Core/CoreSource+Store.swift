internal import ApusCache
public import ApusSchemas
public import ApusTypes

/// The functions of the module `core.store`: keys and values of the data source that an argument names.
extension CoreSource {
    func store(_ function: String, _ arguments: JSONObject, deadline: Instant) async throws -> JSONValue {
        func text(_ name: String) -> String { arguments[name]?.asString ?? "" }
        let store = try store(named: text("store"))
        let key = text("key")
        switch function {
        case "core_store_get":
            guard let bytes = try await store.value(of: key, deadline: deadline) else { return .null }
            guard let value = String(validating: bytes, as: UTF8.self) else {
                throw ApusError(.sourceRejected, "the value of \"\(key)\" is no text in UTF-8")
            }
            return .string(value)
        case "core_store_keys": return .array(try await store.keys(like: text("pattern"), deadline: deadline).map { .string($0) })
        case "core_store_set":
            let lifetime = arguments["ttl"]?.asInteger ?? 0
            guard lifetime >= 0 else { throw ApusError(.requestInvalid, "ttl is a number of seconds", context: ["field": "ttl"]) }
            try await store.set(key, to: text("value"), for: lifetime == 0 ? nil : lifetime, deadline: deadline)
            return Self.result(1)
        case "core_store_del": return Self.result(try await store.delete(key, deadline: deadline) ? 1 : 0)
        case "core_store_incr": return .integer(try await store.increment(key, deadline: deadline))
        case "core_store_expire":
            let lifetime = arguments["ttl"]?.asInteger ?? 0
            return Self.result(try await store.expire(key, after: lifetime, deadline: deadline) ? 1 : 0)
        case "core_store_configure_keyspace_events":
            try await store.setKeyEvents(text("events"), deadline: deadline)
            return Self.result(1)
        default: return Self.result(try await store.publish(text("message"), to: text("channel"), deadline: deadline))
        }
    }

    /// What a subscription to a store tells.
    public func events(_ function: DataFunction, _ arguments: JSONObject, deadline: Instant) async throws -> any EventStream {
        let store = try store(named: arguments["store"]?.asString ?? "")
        if function.sqlName == "core_store_subscribe" {
            let channel = arguments["channel"]?.asString ?? ""
            return StoreEvents(try await store.listen(to: RedisTopic(channel), deadline: deadline), isAboutKeys: false)
        }
        var pattern = arguments["pattern"]?.asString ?? ""
        if !pattern.hasPrefix("__key") { pattern = "__keyspace@\(store.database)__:\(pattern)" }
        // Nothing would ever come, and nobody would know why.
        if let flags = try await store.keyEvents(deadline: deadline), !flags.contains(where: { $0 == "K" || $0 == "E" }) {
            throw ApusError(
                .sourceRejected,
                "the server of \"\(arguments["store"]?.asString ?? "")\" tells of no events of keys: its "
                    + "notify-keyspace-events is \"\(flags)\"; call configure_keyspace_events, or set it there")
        }
        return StoreEvents(try await store.listen(to: RedisTopic(pattern, isPattern: true), deadline: deadline), isAboutKeys: true)
    }

    private func store(named name: String) throws(ApusError) -> RedisStore {
        let served = registry.holder.current
        if let source = served?.sources[name] as? RedisSource { return source.store }
        if let reason = served?.suspended[name] {
            throw ApusError(.sourceUnavailable, "data source \"\(name)\" cannot answer: \(reason)")
        }
        throw ApusError(.sourceUnknown, "there is no store \"\(name)\": a data source of type redis, which is loaded")
    }

    private static func result(_ affected: Int64) -> JSONValue {
        ["success": true, "affected_rows": .integer(affected), "message": "success"]
    }
}

/// Messages of a Redis server as the API tells them.
private final class StoreEvents: EventStream {
    private let subscription: RedisSubscription
    private let isAboutKeys: Bool

    init(_ subscription: RedisSubscription, isAboutKeys: Bool) {
        (self.subscription, self.isAboutKeys) = (subscription, isAboutKeys)
    }

    func next() async throws -> JSONValue {
        let message = try await subscription.next()
        guard let channel = String(validating: message.channel, as: UTF8.self),
            let text = String(validating: message.payload, as: UTF8.self)
        else { throw ApusError(.sourceRejected, "a message or its channel is no text in UTF-8") }
        guard isAboutKeys else { return ["channel": .string(channel), "message": .string(text)] }
        // `__keyspace@0__:KEY` tells the event, `__keyevent@0__:EVENT` the key.
        let subject = channel.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).last.map { String($0) } ?? ""
        let (key, event) = channel.hasPrefix("__keyevent@") ? (text, subject) : (subject, text)
        return ["key": .string(key), "event": .string(event)]
    }

    func close() { subscription.close() }
}
