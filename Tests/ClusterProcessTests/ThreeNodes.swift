import ApusHTTP
import ApusRuntime
import ApusTypes
import NodeProcessKit
import TestKit

extension NodeProcess {
    func create(_ name: String, shards: Int, replicas: Int) async throws {
        let body =
            #"{"name":"\#(name)","dimension":2,"metric":"euclidean","replication_factor":\#(replicas),"sharding":{"shard_count":\#(shards)}}"#
        let reply = try await send(.post, "/collections", body)
        guard reply.status == 200 else { throw ApusError(.internalError, "not created: \(reply)") }
    }

    /// One point, whose vector nobody else has.
    func insert(_ number: Int, into name: String) async throws -> Int {
        let body = #"{"collection":"\#(name)","vectors":[{"id":"p\#(number)","vector":[\#(number * 10),1]}]}"#
        return try await send(.post, "/insert_vectors", body).status
    }

    struct Found: CustomStringConvertible {
        var status: Int
        var nearest: String?
        var isComplete: Bool
        var count: Int
        var reply: JSONValue
        var description: String { "\(status) \(reply)" }
    }

    func search(_ number: Int, in name: String, limit: Int = 1) async throws -> Found {
        let reply = try await send(.post, "/collections/\(name)/search", #"{"vector":[\#(number * 10),1],"limit":\#(limit)}"#)
        let hits = reply.body["results"]?.asArray ?? []
        return Found(
            status: reply.status, nearest: hits.first?["id"]?.asString, isComplete: reply.body["complete"] == true, count: hits.count,
            reply: reply.body)
    }

    /// The first complete answer: on a machine that is busy with other tests a node may take longer than others wait for it, and is said to
    /// be missing.
    func completeSearch(_ number: Int, in name: String, limit: Int = 1) async throws -> Found {
        var found = try await search(number, in: name, limit: limit)
        try await eventually(within: 60, "an answer is complete") {
            if !found.isComplete { found = try await search(number, in: name, limit: limit) }
            return found.isComplete
        }
        return found
    }
}
