import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import HTTPTestKit
import NodeProcessKit
import Synchronization
import TestKit
import Testing

@Suite("three nodes behind nginx")
struct FrontDoorTests {
    /// Searches through the front door without a pause while `body` runs, several at a time.
    private struct Load {
        var searches = 0
        var failures: [String] = []
        var incomplete = 0
        var slowest = Duration.zero
    }

    private final class LoadBook: Sendable {
        private let load = Mutex(Load())
        func withLock<Value: Sendable>(_ body: (inout sending Load) -> sending Value) -> Value { load.withLock(body) }
    }

    private func load(on door: FrontDoor, points: Int, while body: @escaping @Sendable () async throws -> Void) async throws -> Load {
        let load = LoadBook()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    var number = worker
                    while !Task.isCancelled {
                        number += 1
                        let began = BootClock.now
                        let target = number % points
                        let body = #"{"vector":[\#(target * 10),1],"limit":\#(points)}"#
                        var reply = try await door.send(.post, "/collections/c/search", body)
                        // A balancer that is reloaded ends kept connections; who sends at that moment asks again (RFC 9112, 9.3.1).
                        if reply.status == 0 { reply = try await door.send(.post, "/collections/c/search", body) }
                        let time = began.duration(to: BootClock.now)
                        let nearest = reply.body["results"]?.asArray?.first?["id"]
                        load.withLock { load in
                            load.searches += 1
                            load.slowest = max(load.slowest, time)
                            if reply.status != 200 {
                                load.failures.append("\(reply.status) \(reply.body)")
                            } else if reply.body["complete"] != true {
                                load.incomplete += 1
                            } else if nearest != .string("p\(target)") {
                                load.failures.append("p\(target) is not first: \(reply.body)")
                            }
                        }
                    }
                }
            }
            group.addTask { try await body() }
            try await group.next()
            group.cancelAll()
            do { while try await group.next() != nil {} } catch is CancellationError {} catch let error as ApusError
                where error.code == .clientGone
            {}
        }
        return load.withLock { $0 }
    }

    private func check(_ load: Load, _ what: String) {
        #expect(load.failures.isEmpty, "\(what): \(load.failures.count) of \(load.searches): \(load.failures.prefix(3))")
        #expect(load.searches > 20 && load.incomplete == 0, "\(what): \(load.incomplete) of \(load.searches)")
        print(
            "behind nginx, \(what): \(load.searches) searches, \(load.failures.count) failed, \(load.incomplete) incomplete, slowest \(load.slowest)"
        )
    }

    @Test("with two replicas no search fails while a node is frozen, killed, drained and comes back, and nginx's file follows")
    func faults() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("c", shards: 4, replicas: 2)
        for number in 0..<40 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        let door = try await FrontDoor(to: nodes, loops: cluster.loops)
        @Sendable func isServer(_ node: NodeProcess) throws -> Bool { try door.names(node) }
        @Sendable func timed(_ what: String, _ condition: @escaping @Sendable () async throws -> Bool) async throws {
            let began = BootClock.now
            try await eventually(within: 40, what, condition)
            print("behind nginx: \(what) after \(began.duration(to: BootClock.now))")
        }

        // Frozen: suspect after 3 s, and then out of the file.
        check(
            try await load(on: door, points: 40) {
                nodes[2].send(signal: SIGSTOP)
                try await timed("the frozen node is out of the file") { try !isServer(nodes[2]) }
                // A search that was sent to it before that is logged when it has been tried elsewhere.
                try await BootClock().sleep(for: .seconds(5))
                let out = try door.entries().count
                try await BootClock().sleep(for: .seconds(2))
                let asked = try door.entries().dropFirst(out).filter { $0.nodes.contains(String(nodes[2].url.dropFirst(7))) }
                #expect(asked.isEmpty, "\(asked.prefix(3))")
                nodes[2].send(signal: SIGCONT)
                try await timed("the thawed node is back in the file") { try isServer(nodes[2]) }
            }, "frozen")

        check(
            try await load(on: door, points: 40) {
                await nodes[1].kill()
                try await timed("the killed node is out of the file") { try !isServer(nodes[1]) }
            }, "killed")
        let back = try await cluster.start(1)

        check(
            try await load(on: door, points: 40) {
                try await timed("the node that came back is in the file") { try isServer(back) }
                // The node that came back must be trusted again: others must be able to serve what n3 does.
                try await eventually(within: 60, "the drain is taken") {
                    try await nodes[0].send(.post, "/api/nodes/n3/drain").status == 200
                }
                try await timed("the draining node is out of the file") { try door.site().contains("n3 is left out: draining") }
                #expect(try await nodes[0].send(.post, "/api/nodes/n3/undrain").status == 200)
                try await timed("it is in the file again") { try isServer(nodes[2]) }
                _ = await nodes[2].terminate()
                try await timed("the stopped node is out of the file") { try !isServer(nodes[2]) }
            }, "drained and stopped")
        #expect(door.watchLog.contains("wrote the file and reloaded the balancer"))
        await door.stop()
        for node in [nodes[0], back] { _ = await node.terminate() }
    }

    @Test("a write that is tried twice counts once, with the client's key and with nginx's own")
    func retriedWrites() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("c", shards: 3, replicas: 2)
        let door = try await FrontDoor(to: nodes, loops: cluster.loops)
        let frozen = String(nodes[2].url.dropFirst(7))
        var written = 0
        // The first that comes to the frozen node keeps nginx away from it for a while, so several go at the same time.
        nodes[2].send(signal: SIGSTOP)
        try await withThrowingTaskGroup(of: (Int, JSONValue).self) { group in
            for number in 0..<12 {
                group.addTask {
                    // Points without ids: each time that this is done there is one more.
                    let body = #"{"collection":"c","vectors":[{"vector":[\#(number),1]}]}"#
                    let reply = try await door.send(
                        .post, "/insert_vectors", body, headers: number % 2 == 0 ? [:] : ["Idempotency-Key": "write-\(number)"])
                    return (reply.status, reply.body)
                }
            }
            for try await (status, body) in group {
                #expect(status == 200, "\(body)")
                written += 1
            }
        }
        // nginx notes a request after its client has the answer.
        try await eventually("all writes are noted") { try door.entries().count { $0.call == "POST /insert_vectors" } == written }
        let entries = try door.entries()
        let twice = entries.filter { $0.call == "POST /insert_vectors" && $0.nodes.count == 2 }
        #expect(!twice.isEmpty && twice.allSatisfy { $0.nodes[0] == frozen && $0.status == 200 }, "\(entries)")
        nodes[2].send(signal: SIGCONT)
        try await eventually(within: 40, "it is active again") { try await nodes[0].statuses()["n3"] == "active" }
        // What it had been sent before it froze it does now, and knows that it was done.
        try await eventually(within: 40, "every node counts the same") {
            for node in nodes where try await node.send(.get, "/collections/c").body["vector_count"]?.asInteger != Int64(written) {
                return false
            }
            return true
        }
        #expect(try await nodes[0].send(.get, "/collections/c").body["vector_count"]?.asInteger == Int64(written))
        await door.stop()
        for node in nodes { _ = await node.terminate() }
    }

    @Test("two balancers, each with a file of its own: both follow the nodes, what one takes the other finds, and either serves alone")
    func twoBalancers() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("c", shards: 4, replicas: 2)
        let doors = [
            try await FrontDoor(to: nodes, loops: cluster.loops), try await FrontDoor(to: [nodes[1]], loops: cluster.loops),
        ]
        func insertAndFind(_ number: Int, _ first: FrontDoor, _ second: FrontDoor) async throws {
            let body = #"{"collection":"c","id":"p\#(number)","vector":[\#(number * 10),1]}"#
            #expect(try await first.send(.post, "/insert", body).status == 200)
            let reply = try await second.send(.post, "/collections/c/search", #"{"vector":[\#(number * 10),1],"limit":1}"#)
            #expect(reply.body["complete"] == true && reply.body["results"]?.asArray?.first?["id"] == .string("p\(number)"), "\(reply)")
        }
        for number in 0..<40 { try await insertAndFind(number, doors[number % 2], doors[(number + 1) % 2]) }

        // The second was told of one node, and knows the others from it.
        for node in nodes { try await eventually("both name every node") { try doors.allSatisfy { try $0.names(node) } } }
        try await nodes[1].stopCleanly()
        try await eventually(within: 60, "both have heard that the node has left") { try doors.allSatisfy { try !$0.names(nodes[1]) } }
        for number in 40..<60 { try await insertAndFind(number, doors[number % 2], doors[(number + 1) % 2]) }

        await doors[0].stop()
        for number in 60..<80 { try await insertAndFind(number, doors[1], doors[1]) }
        await doors[1].stop()
        for node in [nodes[0], nodes[2]] { try await node.stopCleanly() }
    }

    @Test("uploads are passed on as they come, health is the nodes', errors are JSON, and what nginx does can be seen")
    func service() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 2)
        try await nodes[0].create("c", shards: 1, replicas: 1)
        let door = try await FrontDoor(to: nodes, loops: cluster.loops)

        // Announced are 100 MB, sent is nothing: a node sees that it is no form. nginx would have waited for all of it.
        let upload = try RawClient(port: door.port)
        try await upload.send(
            "POST /qdrant/collections/c/snapshots/upload HTTP/1.1\r\nHost: localhost\r\nX-API-Key: \(nodes[0].key)\r\nContent-Type: text/plain\r\nContent-Length: 100000000\r\n\r\n"
        )
        let refused = try await ReplyReader(upload).next()
        #expect((400..<500).contains(refused.status), "\(refused)")
        #expect(door.bodyFiles().isEmpty)

        let unknown = try await door.send(.get, "/collections/nowhere")
        #expect(unknown.status == 404 && unknown.body["code"] == "collection.unknown")
        let status = try await door.send(.get, "/nginx-status")
        #expect(status.status == 200 && status.body.asString?.hasPrefix("Active connections:") == true)
        #expect(try await door.send(.get, "/health").status == 200)

        for node in nodes { node.send(signal: SIGSTOP) }
        try await eventually(within: 60, "no worker answers") { try await door.send(.get, "/health").status == 503 }
        let frozen = try await door.send(.post, "/collections/c/search", #"{"vector":[1,1],"limit":1}"#)
        #expect([503, 504].contains(frozen.status) && frozen.body["code"]?.asString?.hasPrefix("balancer.") == true, "\(frozen)")
        for node in nodes { node.send(signal: SIGCONT) }
        try await eventually(within: 60, "a worker answers") { try await door.send(.get, "/health").status == 200 }

        for node in nodes { await node.kill() }
        let dead = try await door.send(.get, "/collections")
        #expect(dead.status == 503 && dead.body["code"] == "balancer.no_node" && dead.headers["Retry-After"] == "1", "\(dead)")
        #expect(try await door.send(.get, "/health").status == 503)
        try await eventually(within: 40, "the file is kept") { door.watchLog.contains("the file stays as it is") }
        #expect(try door.site().contains("server \(nodes[0].url.dropFirst(7))"))
        await door.stop()
    }
}
