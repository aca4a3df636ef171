import ApusCatalog
import ApusCluster
import ApusHTTP
import ApusThunder
import ApusTypes
import DatabaseTestKit
import HTTPTestKit
import NodeTestKit
import TestKit
import Testing

@testable import VectorizerFace

/// The listener: who may ask, what a broken client costs, and what it does under load.
@Suite("rpc connections")
struct ConnectionTests {
    @Test("a call that ends because its client has left is no error of the program; anything else that is unknown is")
    func leaving() async {
        let left = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return VectorizerRPC.described(CancellationError(), "the call failed").code
        }
        #expect(await left.value == .nodeDraining)
        #expect(VectorizerRPC.described(CancellationError(), "the call failed").code == .internalError)
        let known = ApusError(.pointUnknown, "there is none")
        #expect(VectorizerRPC.described(known, "the call failed").code == .pointUnknown)
    }

    @Test("on a listener that others reach everybody needs a key; roles hold; a wrong key is WRONGPASS")
    func keys() async throws {
        var options = TestNode.Options()
        options.rpc.isOpenToLocalUser = false
        try await TestNode.with(options) { node in
            let client = try RPCClient(node)
            #expect(try await client.value("PING") == .string("PONG"))
            for command in ["collections.list", "HELLO", "nope", "auth.me"] {
                #expect(try await client.failure(command).hasPrefix("NOAUTH "), "\(command)")
            }
            #expect(try await client.failure("AUTH", .string("apus_0000000000000000_nonsense")) == "WRONGPASS the API key is not valid")
            #expect(try await client.failure("AUTH", .string("")).hasPrefix("WRONGPASS "))
            #expect(try await client.failure("AUTH").hasPrefix("WRONGPASS "))

            let (reader, secret) = try await node.access.create(name: "r", role: .reader, deadline: node.deadline)
            _ = try await client.value("AUTH", .string(secret.reveal()))
            let hello = try await client.value("HELLO", .map(["version": .int(1), "api_key": .string(secret.reveal())]))
            #expect(hello["authenticated"] == .bool(true) && hello["admin"] == .bool(false))
            #expect(try await client.value("auth.me")["username"] == .string(reader.id))
            #expect(try await client.value("collections.list") == .array([]))
            #expect(try await client.failure("collections.create", .string("c"), .dimension(2)).hasPrefix("NOPERM collections.create: "))
            #expect(try await client.failure("auth.api_keys_list").hasPrefix("NOPERM "))

            let (_, admin) = try await node.access.create(name: "a", role: .administrator, deadline: node.deadline)
            let administrator = try RPCClient(node)
            #expect(try await administrator.value("HELLO", .map(["api_key": .string(admin.reveal())]))["admin"] == .bool(true))
            let made = try await administrator.value("auth.api_keys_create", .map(["name": .string("w"), "role": .string("writer")]))
            let id = try #require(made["id"])
            let writer = try RPCClient(node)
            _ = try await writer.value("AUTH", made["api_key"] ?? .null)
            _ = try await writer.value("collections.create", .string("c"), .dimension(2))
            // A key that is revoked ends on the connections that it has opened.
            #expect(try await administrator.value("auth.api_keys_revoke", id)["success"] == .bool(true))
            #expect(try await writer.failure("collections.list").hasPrefix("NOAUTH "))
            #expect(try await administrator.failure("auth.api_keys_revoke", id).contains("no key"))
            let listed = try await administrator.value("auth.api_keys_list")
            #expect(listed.asArray?.count == 3)
            #expect(listed.asArray?.contains { $0["secret"] != nil || $0["api_key"] != nil } == false)
            #expect(
                try await administrator.failure("auth.api_keys_create", .map(["name": .string("x"), "scopes": .array([])])).contains(
                    "scopes"))
        }
    }

    @Test("on loopback the node's own user needs no key, another local user does, and so do all without the exemption")
    func localUsers() async throws {
        let script =
            "import socket,sys; s=socket.create_connection(('127.0.0.1',int(sys.argv[1]))); "
            + "s.sendall(bytes.fromhex('140000009301b0636f6c6c656374696f6e732e6c69737490')); print(s.recv(200))"
        try await TestNode.with { node in
            let own = try await shell("python3 -c \"\(script)\" \(node.rpcPort)", in: node.directory)
            #expect(own.output.contains("Array"), "\(own.output)")
            let other = try await shell("python3 -c \"\(script)\" \(node.rpcPort)", in: node.directory, user: 65_534)
            #expect(other.output.contains("NOAUTH") && other.output.contains("user 65534"), "\(other.output)")
            let client = try RPCClient(node)
            #expect(try await client.value("HELLO", .map(["version": .int(1)]))["admin"] == .bool(true))
            // A wrong key is refused also where none is needed, and nothing is served under it.
            #expect(try await client.failure("AUTH", .string("wrong")).hasPrefix("WRONGPASS "))
            #expect(try await client.failure("collections.list").hasPrefix("NOAUTH "))
        }
        var options = TestNode.Options()
        options.isLoopbackTrusted = false
        try await TestNode.with(options) { node in
            let client = try RPCClient(node)
            #expect(try await client.failure("collections.list").contains("auth.loopback is false"))
        }
    }

    @Test("256 calls in flight are answered, each with its own reply; more wait their turn")
    func manyInFlight() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            _ = try await client.value("collections.create", .string("c"), .dimension(2))
            let count: UInt32 = 1000
            var frames: [UInt8] = []
            for id in 0..<count {
                frames += RPCClient.frame(id, "vectors.insert", [.string("c"), .int(Int(id)), .vector(1, Double(id))])
            }
            let all = frames
            let sending = Task { try await client.raw.send(all) }
            var seen: Set<UInt32> = []
            for _ in 0..<count {
                let reply = try #require(try await client.next())
                guard case .ok(let value) = reply.result else {
                    Issue.record("\(reply)")
                    continue
                }
                #expect(value["id"] == .string("\(reply.id)"))
                #expect(seen.insert(reply.id).inserted)
            }
            try await sending.value
            #expect(try await client.value("admin.stats")["total_vectors"] == .int(Int(count)))
        }
    }

    @Test("a quick call overtakes a slow one on the same connection")
    func outOfOrder() async throws {
        var options = TestNode.Options()
        options.rpc.callTime = .seconds(5)
        try await TestNode.with(options) { node in
            let client = try RPCClient(node)
            _ = try await client.value("collections.create", .string("c"), .dimension(2))
            node.database.isAway = true
            try await client.send(1, "vectors.insert", .string("c"), .string("x"), .vector(1, 2))
            try await client.send(2, "PING")
            try await client.send(3, "collections.list")
            #expect(try await client.next()?.id == 2)
            #expect(try await client.next()?.id == 3)
            node.database.isAway = false
            #expect(try await client.next()?.id == 1)
        }
    }

    @Test("a broken client costs its connection at most")
    func brokenClients() async throws {
        var options = TestNode.Options()
        options.rpc.thunder.frame = .kibibytes(256)
        options.rpc.thunder.frameStallTime = .milliseconds(200)
        try await TestNode.with(options) { node in
            // A length of 4 GiB.
            let endless = try RPCClient(node)
            try await endless.raw.send([0xFF, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0xFF, count: 64))
            #expect(try await endless.next() == nil)
            // Too large, and said so to the call that it was.
            let large = try RPCClient(node)
            try await large.raw.send(RPCClient.frame(77, "x", [.bytes([UInt8](repeating: 1, count: 300_000))]))
            let refusal = try #require(try await large.next())
            #expect(refusal.id == 77)
            guard case .failure(let text) = refusal.result else { throw ThunderProblem("no error") }
            #expect(text.hasPrefix("[payload_too_large] "))
            #expect(try await large.next() == nil)
            // A frame that never ends.
            let half = try RPCClient(node)
            try await half.raw.send([20, 0, 0, 0, 0x93])
            #expect(try await half.raw.isClosed())
            // A reply instead of a request, then one that is right.
            let reply = try RPCClient(node)
            try await reply.raw.send(RPCClient.framed([0x92, 0x05, 0x81, 0xA2, 0x4F, 0x6B, 0xA4, 0x4E, 0x75, 0x6C, 0x6C]))
            #expect(try await reply.next()?.id == 5)
            #expect(try await reply.value("PING") == .string("PONG"))
            // Not MessagePack, an id in use, the reserved id.
            for frames in [
                RPCClient.framed([0xC1]), RPCClient.frame(.max, "collections.list", []),
            ] {
                let client = try RPCClient(node)
                try await client.raw.send(frames)
                #expect(try await client.next() == nil)
            }
            // Arguments that are none: the call fails, the connection goes on.
            let wrong = try RPCClient(node)
            try await wrong.raw.send(RPCClient.framed([0x93, 0x01, 0xA1, 0x78, 0x91, 0x05]))
            #expect(try await wrong.next()?.id == 1)
            try await wrong.raw.send(RPCClient.framed([0x93, 0x02] + [0xB0] + Array("collections.list".utf8) + [0x91, 0x05]))
            guard case .failure(let problem)? = try await wrong.next()?.result else { throw ThunderProblem("no error") }
            #expect(problem.hasPrefix("[protocol_error] collections.list: "))
            // HTTP on the wrong port.
            let http = try RPCClient(node)
            try await http.raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await http.raw.isClosed())
            // And a client that goes away within its call.
            let gone = try RPCClient(node)
            try await gone.send(1, "collections.list")
            gone.raw.reset()
            #expect(try await (try RPCClient(node)).value("PING") == .string("PONG"))
        }
    }

    @Test("an id that is in flight again: the first call is answered, the second never runs, the connection ends")
    func reusedID() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            _ = try await client.value("collections.create", .string("c"), .dimension(2))
            try await client.raw.send(
                RPCClient.frame(9, "vectors.insert", [.string("c"), .string("first"), .vector(1, 1)])
                    + RPCClient.frame(9, "vectors.insert", [.string("c"), .string("second"), .vector(1, 1)]))
            guard case .ok(let value)? = try await client.next()?.result else { throw ThunderProblem("no reply") }
            #expect(value["id"] == .string("first"))
            #expect(try await client.next() == nil)
            #expect(try await (try RPCClient(node)).failure("vectors.get", .string("c"), .string("second")).contains("not found"))
        }
    }

    @Test("a client that reads nothing is not read from, and does not hold up others")
    func backPressure() async throws {
        var options = TestNode.Options()
        options.rpc.thunder.output = .kibibytes(64)
        try await TestNode.with(options) { node in
            let writer = try RPCClient(node)
            _ = try await writer.value("collections.create", .string("c"), .dimension(2000))
            let vector = ThunderValue.array((0..<2000).map { .float(Double($0)) })
            _ = try await writer.value("vectors.insert", .string("c"), .string("x"), vector)
            let lazy = try RPCClient(node, receiveBuffer: 4096)
            var frames: [UInt8] = []
            for id in UInt32(0)..<400 { frames += RPCClient.frame(id, "vectors.get", [.string("c"), .string("x")]) }
            try await lazy.raw.send(frames)
            for _ in 0..<20 { #expect(try await writer.value("PING") == .string("PONG")) }
            // All of it comes once it is taken.
            for _ in 0..<400 { #expect(try await lazy.next() != nil) }
        }
    }

    @Test("large batches arrive whole, and are read where they hold nobody up")
    func largeBatch() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            _ = try await client.value("collections.create", .string("c"), .dimension(384))
            let items = (0..<1000).map { row -> ThunderValue in
                .map(["id": .int(row), "data": .array((0..<384).map { .float(Double((row &* 31 &+ $0 &* 17) % 101) - 50) })])
            }
            let inserted = try await client.value("vectors.batch_insert", .string("c"), .array(items))
            #expect(inserted["inserted"] == .int(1000) && inserted["failed"] == .int(0))
            #expect(try await client.value("vectors.get", .string("c"), .string("999"))["data"] == items[999]["data"])
        }
    }

    @Test("what is acknowledged is there after a restart")
    func durable() async throws {
        let directory = try TemporaryDirectory()
        try await TestNode.with(in: directory) { node in
            let client = try RPCClient(node)
            _ = try await client.value("collections.create", .string("c"), .dimension(2))
            for id in 0..<20 { _ = try await client.value("vectors.insert", .string("c"), .int(id), .vector(1, Double(id))) }
        }
        try await TestNode.with(in: directory) { node in
            let client = try RPCClient(node)
            #expect(try await client.value("admin.stats")["total_vectors"] == .int(20))
            #expect(try await client.value("vectors.get", .string("c"), .string("7"))["data"] == .vector(1, 7))
        }
    }
}
