internal import ApusCache
internal import ApusTypes

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
        default: return Self.result(try await store.publish(text("message"), to: text("channel"), deadline: deadline))
        }
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
