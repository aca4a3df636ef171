import ApusConfig
import ApusRuntime
import ApusTypes
import HTTPTestKit
import NodeTestKit
import Testing
import VectorizerFace

/// What clients get wrong, and the words of this API for it.
@Suite("bad input")
struct BadInputTests {
    func withCollection(_ options: TestNode.Options = .init(), _ body: @Sendable (TestNode) async throws -> Void) async throws {
        try await TestNode.with(options) { node in
            try #require(try await node.post("/collections", ["name": "c", "dimension": 3]).status == 200)
            try await body(node)
        }
    }

    @Test("errors have this API's shape, with the request's id")
    func shape() async throws {
        try await withCollection { node in
            let reply = try await node.send("GET", "/collections/none", headers: [("Host", "localhost"), ("X-Request-Id", "r-17")])
            #expect(reply.status == 404)
            #expect(reply["error_type"] == "collection_not_found" && reply["message"] == "Collection not found: none")
            #expect(reply["status_code"] == 404 && reply["request_id"] == "r-17")
            let invalid = try await node.post("/collections", ["name": "d"])
            #expect(invalid["error_type"] == "validation_error" && invalid["message"] == "Invalid dimension: it is missing")
            #expect(invalid["details"] == ["field": "dimension", "reason": "it is missing"])
            #expect(try await node.get("/nowhere").status == 404)
            let method = try await node.send("PUT", "/collections")
            #expect(method.status == 405 && method.raw["Allow"] == "GET, HEAD, OPTIONS, POST")
        }
    }

    @Test("unknown and duplicate names")
    func names() async throws {
        try await withCollection { node in
            let duplicate = try await node.post("/collections", ["name": "c", "dimension": 3])
            #expect(duplicate.status == 409 && duplicate["message"] == "Collection already exists: c")
            let unknown = try await node.get("/collections/c/vectors/none")
            #expect(unknown.status == 404 && unknown["message"] == "Vector not found: none" && unknown["error_type"] == "vector_not_found")
            for (method, path) in [
                ("GET", "/collections/x"), ("DELETE", "/collections/x"), ("GET", "/collections/x/vectors"),
                ("GET", "/collections/x/vectors/1"),
            ] {
                let reply = try await node.send(method, path)
                #expect(reply.status == 404 && reply["message"] == "Collection not found: x", "\(method) \(path)")
            }
            for path in ["/insert_vectors", "/batch_update", "/batch_delete", "/insert", "/search", "/delete_by_filter"] {
                let reply = try await node.post(path, ["collection": "x", "vectors": [], "updates": [], "ids": [], "vector": [1]])
                #expect(reply.status == 404 && reply["message"] == "Collection not found: x", "\(path)")
            }
            let empty = try await node.post("/collections", ["name": "", "dimension": 3])
            #expect(empty.status == 400 && empty["message"]?.asString?.contains("collection name cannot be empty") == true)
            let bad: [String] = [
                "..", ".", "a/b", "a\\b", "a\u{1}b", "a\u{0}", String(repeating: "x", count: 256), "a<b", "a:b", "a|b", "a?b", "a*b",
                "a\"b",
            ]
            for name in bad {
                let reply = try await node.post("/collections", ["name": .string(name), "dimension": 3])
                #expect(reply.status == 400, "\(name.debugDescription)")
            }
            let long = String(repeating: "é", count: 127)
            #expect(try await node.post("/collections", ["name": .string(long), "dimension": 3]).status == 200)
        }
    }

    @Test(
        "dimensions, metrics and sharding out of range",
        arguments: [
            #"{"name":"d","dimension":0}"#, #"{"name":"d","dimension":65537}"#, #"{"name":"d","dimension":-1}"#,
            #"{"name":"d","dimension":"3"}"#,
            #"{"name":"d","dimension":3.5}"#, #"{"name":"d","dimension":null}"#, #"{"name":7,"dimension":3}"#, #"{"dimension":3}"#,
            #"{"name":"d","dimension":3,"metric":"hamming"}"#,
            #"{"name":"d","dimension":3,"metric":"cosine","similarity_metric":"euclidean"}"#,
            #"{"name":"d","dimension":3,"sharding":{"shard_count":0}}"#, #"{"name":"d","dimension":3,"sharding":{"shard_count":100000}}"#,
            #"{"name":"d","dimension":3,"sharding":{"virtual_nodes_per_shard":0}}"#, #"{"name":"d","dimension":3,"sharding":7}"#,
        ])
    func creation(body: String) async throws {
        try await withCollection { node in
            let reply = try await node.post("/collections", text: body)
            #expect(reply.status == 400 && reply["error_type"] == "validation_error", "\(body)")
            #expect(reply["details"]?["field"] != nil, "\(body)")
            #expect(try await node.get("/collections")["total_collections"] == 1)
        }
    }

    @Test("the extremes of dimension work")
    func dimensions() async throws {
        try await withCollection { node in
            for dimension in [1, 65_536] { try await checkDimension(dimension, node) }
        }
    }

    func checkDimension(_ dimension: Int, _ node: TestNode) async throws {
        let name = "d\(dimension)"
        let created = try await node.post("/collections", ["name": .string(name), "dimension": .integer(Int64(dimension))])
        #expect(created.status == 200)
        let vector = JSONValue.array([JSONValue](repeating: .double(0.5), count: dimension))
        let inserted = try await node.post("/insert", ["collection": .string(name), "id": "a", "vector": vector])
        #expect(inserted.status == 200, "\(inserted.raw.text)")
        let found = try await node.post("/collections/\(name)/search", ["vector": vector])
        #expect(found["results"]?.asArray?.count == 1)
    }

    @Test(
        "vectors that are none",
        arguments: [
            ("[1,2]", "embedding length 2 does not match collection dimension 3", "dimension_mismatch"),
            ("[1,2,3,4]", "embedding length 4 does not match collection dimension 3", "dimension_mismatch"),
            ("[1,\"2\",3]", "vector[1] is not a number", "validation_error"),
            ("[1,null,3]", "vector[1] is not a number", "validation_error"),
            ("[1,2,1e39]", "vector[2] is too large for a float of 32 bits", "validation_error"),
            ("[-3.5e38,2,3]", "vector[0] is too large for a float of 32 bits", "validation_error"),
            ("{}", "'vector' is not an array of numbers", "validation_error"),
            ("7", "'vector' is not an array of numbers", "validation_error"),
        ])
    func vectors(vector: String, message: String, type: String) async throws {
        try await withCollection { node in
            for path in ["/insert", "/collections/c/search"] {
                let reply = try await node.post(path, text: #"{"collection":"c","id":"a","vector":\#(vector)}"#)
                #expect(reply.status == 400 && reply["message"] == .string(message) && reply["error_type"] == .string(type), "\(path)")
                let place = message.hasPrefix("vector[") ? "vector[\(message.dropFirst(7).prefix(1))]" : "vector"
                #expect(reply["details"]?["field"]?.asString == place, "\(path)")
            }
            // In a batch: that item's error inside a 200.
            let batch = try await node.post(
                "/insert_vectors", text: #"{"collection":"c","vectors":[{"id":"a","vector":\#(vector)},{"id":"b","vector":[1,2,3]}]}"#)
            #expect(batch.status == 200 && batch["inserted"] == 1 && batch["failed"] == 1)
            let item = try #require(batch["results"]?.asArray?.first)
            #expect(item["status"] == "error" && item["vectors_created"] == 0 && item["vector_ids"] == [])
            #expect(item["error"]?.asString == message.replacing("vector", with: "vectors[0].vector") || item["error"]?.asString == message)
            #expect(try await node.get("/collections/c/vectors/a").status == 404)
            #expect(try await node.get("/collections/c/vectors/b").status == 200)
        }
    }

    @Test("numbers that JSON cannot hold, and text that is not JSON")
    func notJSON() async throws {
        try await withCollection { node in
            for text in [
                "{", "", "[1,", #"{"vector":[NaN,1,2]}"#, #"{"vector":[Infinity,1,2]}"#, #"{"vector":[1e400,1,2]}"#, "{'a':1}",
                #"{"a":"\ud800"}"#,
            ] {
                let reply = try await node.post("/collections/c/search", text: text)
                #expect(reply.status == 400 && reply["error_type"] == "parse_error", "\(text)")
            }
            #expect(try await node.send("POST", "/insert", [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D]).status == 400)
            for text in ["[]", "null", "7", "\"x\""] {
                #expect(try await node.post("/insert", text: text)["error_type"] == "validation_error")
            }
            let deep = #"{"vector":[1,2,3],"payload":"# + String(repeating: "[", count: 100) + String(repeating: "]", count: 100) + "}"
            #expect(try await node.post("/insert", text: deep)["error_type"] == "parse_error")
        }
    }

    @Test(
        "ids: length, emptiness, '#', outer spaces, numbers that are not whole",
        arguments: [
            #""""#, #"" a""#, #""a ""#, #""a#b""#, "1.5", "-1", "1e300", "true", "null", "{}", "[]",
            "\"\(String(repeating: "x", count: 257))\"",
            "9007199254740993.0", "18446744073709551616",
        ])
    func ids(id: String) async throws {
        try await withCollection { node in
            if id != "null" {  // null is no id: one is made
                let reply = try await node.post("/insert", text: #"{"collection":"c","id":\#(id),"vector":[1,2,3]}"#)
                #expect(reply.status == 400 && reply["error_type"] == "validation_error", "\(id)")
            }
            let batch = try await node.post("/batch_delete", text: #"{"collection":"c","ids":[\#(id)]}"#)
            #expect(batch.status == 200 && batch["failed"] == 1)
        }
    }

    @Test("ids that are just right")
    func goodIDs() async throws {
        try await withCollection { node in
            for id in Self.goodIDs { try await insert(id, node) }
            try await find("9007199254740993", "9007199254740993", node)
            try await find("a%20b%2Fc%3Fd", "a b/c?d", node)
            try await find("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", node)
        }
    }

    static let goodIDs = [
        "18446744073709551615", "9007199254740993", #""\#(String(repeating: "é", count: 256))""#, #""a b/c?d""#,
        #""A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11""#,
    ]

    func insert(_ id: String, _ node: TestNode) async throws {
        let reply = try await node.post("/insert", text: #"{"collection":"c","id":\#(id),"vector":[1,2,3]}"#)
        #expect(reply.status == 200, "\(id)")
    }

    func find(_ path: String, _ id: String, _ node: TestNode) async throws {
        let reply = try await node.get("/collections/c/vectors/\(path)")
        #expect(reply["id"] == .string(id))
    }

    @Test("payloads that are no objects; of one id twice in a batch the last wins; empty batches")
    func batches() async throws {
        try await withCollection { node in
            for payload in ["7", "[]", "\"x\"", "true"] {
                let reply = try await node.post("/insert", text: #"{"collection":"c","id":"a","vector":[1,2,3],"payload":\#(payload)}"#)
                #expect(reply.status == 400 && reply["details"]?["field"] == "payload")
            }
            let twice = try await node.post(
                "/insert_vectors",
                ["collection": "c", "vectors": [["id": "a", "vector": [1, 1, 1]], ["id": "a", "vector": [2, 2, 2]]]])
            #expect(twice["inserted"] == 2)
            #expect(try await node.get("/collections/c/vectors/a")["vector"] == [2.0, 2.0, 2.0])
            #expect(try await node.get("/collections/c")["vector_count"] == 1)
            let empty = try await node.post("/insert_vectors", ["collection": "c", "vectors": []])
            #expect(empty.status == 200 && empty["count"] == 0 && empty["results"] == [])
            #expect(try await node.post("/batch_delete", ["collection": "c", "ids": []])["deleted"] == 0)
            // Unknown fields are ignored, and so are items that are no objects: one by one.
            let odd = try await node.post(
                "/insert_vectors", ["collection": "c", "x": 1, "vectors": [7, ["id": "b", "vector": [1, 2, 3], "public_key": "k"]]])
            #expect(odd["inserted"] == 1 && odd["failed"] == 1)
            #expect(try await node.post("/insert_vectors", ["collection": "c", "vectors": 7]).status == 400)
            #expect(try await node.post("/insert_vectors", ["vectors": []]).status == 400)
        }
    }

    @Test("limits: one above and one below")
    func limits() async throws {
        var options = TestNode.Options()
        options.face.maxBody = ByteCount(1000)
        options.face.maxItems = 3
        try await withCollection(options) { node in
            func body(_ size: Int) -> String {
                let start = #"{"collection":"c","ids":[],"pad":""#
                return start + String(repeating: "x", count: size - start.utf8.count - 2) + "\"}"
            }
            #expect(try await node.post("/batch_delete", text: body(1000)).status == 200)
            let large = try await node.post("/batch_delete", text: body(1001))
            #expect(large.status == 413 && large["error_type"] == "payload_too_large")
            #expect(try await node.post("/batch_delete", ["collection": "c", "ids": [1, 2, 3]]).status == 200)
            #expect(try await node.post("/batch_delete", ["collection": "c", "ids": [1, 2, 3, 4]]).status == 400)
            for (queries, status) in [(100, 200), (101, 400)] {
                let batch = JSONValue.array([JSONValue](repeating: 7, count: queries))
                #expect(try await node.post("/batch_search", ["queries": batch]).status == status)
            }
            #expect(try await node.get("/collections/c/vectors?limit=50")["limit"] == 50)
            #expect(try await node.get("/collections/c/vectors?limit=51")["limit"] == 50)
            #expect(try await node.get("/collections/c/vectors?offset=1000001")["offset"] == 1_000_000)
            for query in ["limit=-1", "limit=x", "offset=-1", "limit=99999999999999999999"] {
                #expect(try await node.get("/collections/c/vectors?\(query)").status == 400, "\(query)")
            }
            #expect(try await node.post("/collections/c/search", ["vector": [1, 2, 3], "limit": 101])["limit"] == 100)
            for limit in ["-1", "1.5", "\"3\"", "true"] {
                #expect(
                    try await node.post("/collections/c/search", text: #"{"vector":[1,2,3],"limit":\#(limit)}"#).status == 400, "\(limit)")
            }
            #expect(try await node.post("/collections/c/search", text: #"{"vector":[1,2,3],"threshold":1e300}"#).status == 400)
        }
    }

    @Test("a body of 64 MiB is read, one byte more is 413 before it is sent")
    func bodyLimit() async throws {
        #expect(VectorizerFace.Options().maxBody == Configuration().faces.vectorizer.maxBody)
        #expect(VectorizerFace.Options().maxItems == Configuration().vectors.maxPointsPerRequest)
        try await withCollection { node in
            let limit = 64 << 20
            let start = Array(#"{"collection":"c","ids":[],"pad":""#.utf8)
            let body = start + [UInt8](repeating: UInt8(ascii: "x"), count: limit - start.count - 2) + Array("\"}".utf8)
            #expect(try await node.send("POST", "/batch_delete", body).status == 200)
            let client = try RawClient(port: node.port)
            try await client.send(
                "POST /batch_delete HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \(limit + 1)\r\n\r\n")
            let refused = try await ReplyReader(client).next()
            let json = try JSONValue(parsing: refused.body)
            #expect(refused.status == 413 && json["error_type"] == "payload_too_large" && json["code"] == "request.too_large")
        }
    }

    @Test("filters: too deep is 400, another type than the payload's matches nothing")
    func filters() async throws {
        try await withCollection { node in
            let points: JSONValue = [
                ["id": "a", "vector": [1, 0, 0], "payload": ["n": 1, "tag": "x", "list": [1, "x"], "deep": ["er": ["n": 1]]]],
                ["id": "b", "vector": [1, 0, 0], "payload": ["n": "1", "tag": 7]],
            ]
            try #require(try await node.post("/insert_vectors", ["collection": "c", "vectors": points])["inserted"] == 2)
            func ids(_ filter: String) async throws -> [String] {
                let reply = try await node.post("/collections/c/search", text: #"{"vector":[1,0,0],"filter":\#(filter)}"#)
                #expect(reply.status == 200, "\(filter) \(reply.raw.text)")
                return (reply["results"]?.asArray ?? []).compactMap { $0["id"]?.asString }
            }
            for (filter, expected) in [
                (#"{"n":1}"#, ["a"]), (#"{"n":"1"}"#, ["b"]), (#"{"n":true}"#, []), (#"{"n":{"gte":0}}"#, ["a"]),
                (#"{"n":{"gte":"0"}}"#, ["b"]), (#"{"tag":{"lt":"y"}}"#, ["a"]), (#"{"list":"x"}"#, ["a"]), (#"{"list":{"gte":1}}"#, ["a"]),
                (#"{"n.x":1}"#, []), (#"{"must_not":[{"n":1}]}"#, ["b"]), (#"{"must_not":[{"tag":true}]}"#, ["a", "b"]),
                (#"{"deep.er.n":1}"#, ["a"]),
                (#"{"must":[{"should":[{"must_not":[{"key":"n","match":{"value":1}}]},{"tag":"y"}]}]}"#, ["b"]),
            ] as [(String, [String])] {
                #expect(try await ids(filter) == expected, "\(filter)")
            }
            func nested(_ depth: Int) -> String {
                String(repeating: #"{"must":["#, count: depth) + #"{"n":1}"# + String(repeating: "]}", count: depth)
            }
            #expect(try await ids(nested(15)) == ["a"])
            for filter in [nested(16), nested(28), "7", #"{"must":7}"#, #"{"n":{"gte":true}}"#] {
                for path in [
                    "/collections/c/search", "/collections/c/count", "/collections/c/scroll", "/collections/c/vectors/delete_by_filter",
                ] {
                    let reply = try await node.post(path, text: #"{"vector":[1,0,0],"filter":\#(filter)}"#)
                    #expect(reply.status == 400 && reply["error_type"] == "validation_error", "\(path) \(filter)")
                    #expect(reply["details"]?["field"]?.asString?.hasPrefix("filter") == true, "\(path) \(filter)")
                }
            }
            #expect(try await node.post("/collections/c/count", [:])["count"] == 2)
        }
    }

    @Test("vectors at the ends of a float's range have the scores that they have")
    func extremes() async throws {
        let cases: [(metric: String, vector: String, query: String, score: Double)] = [
            ("cosine", "[3.4e38,3.4e38]", "[1e-42,1e-42]", 1), ("cosine", "[1e-45,0]", "[0,3.4e38]", 0),
            ("dot", "[3.4e38,3.4e38]", "[3.4e38,-3.4e38]", 0), ("dot", "[3.4e38,0]", "[-3.4e38,0]", -3.4028234663852886e38),
            ("euclidean", "[1e-30,0]", "[0,0]", 1e-30), ("euclidean", "[3.4e38,0]", "[-3.4e38,0]", 3.4028234663852886e38),
            ("manhattan", "[3e38,3e38]", "[0,0]", 3.4028234663852886e38),
        ]
        try await TestNode.with { node in
            for (number, (metric, vector, query, expected)) in cases.enumerated() {
                let name = "c\(number)"
                _ = try await node.post("/collections", ["name": .string(name), "dimension": 2, "metric": .string(metric)])
                #expect(try await node.post("/insert", text: #"{"collection":"\#(name)","id":"a","vector":\#(vector)}"#).status == 200)
                let found = try await node.post("/collections/\(name)/search", text: #"{"vector":\#(query)}"#)
                let score = try #require(found["results"]?.asArray?.first?["score"]?.asDouble)
                #expect(abs(score - expected) <= abs(expected) * 1e-6, "\(metric) \(vector) \(query): \(score)")
            }
        }
    }

    @Test("names, ids and keys that only look alike are different ones")
    func canonicalEquivalence() async throws {
        let names = ["\u{e9}", "e\u{301}"]
        try await TestNode.with { node in
            for name in names { #expect(try await node.post("/collections", ["name": .string(name), "dimension": 1]).status == 200) }
            #expect(try await node.get("/collections")["total_collections"] == 2)
            for (id, key) in zip(names, names.reversed()) {
                let body = #"{"collection":"\#(names[0])","id":"\#(id)","vector":[1],"payload":{"\#(id)":1,"\#(key)":2}}"#
                #expect(try await node.post("/insert", text: body).status == 200)
            }
            #expect(try await node.get("/collections/%C3%A9")["vector_count"] == 2)
            #expect(try await node.get("/collections/e%CC%81")["vector_count"] == 0)
            let patch = #"{"filter":{"\#(names[0])":1},"patch":{"\#(names[1])":null}}"#
            #expect(try await node.post("/collections/%C3%A9/vectors/bulk_update_metadata", text: patch)["updated"] == 1)
            let patched = try await node.get("/collections/%C3%A9/vectors/%C3%A9")
            #expect(patched.raw.text.contains(#""payload":{"\#(names[0])":1}"#))
            #expect(try await node.delete("/collections/%C3%A9/vectors/%C3%A9").status == 200)
            #expect(try await node.get("/collections/%C3%A9/vectors/e%CC%81").status == 200)
        }
    }

    @Test("a zero vector under cosine is stored and scores 0")
    func zeroVector() async throws {
        try await withCollection { node in
            #expect(try await node.post("/insert", ["collection": "c", "id": "zero", "vector": [0, 0, 0]]).status == 200)
            let found = try await node.post("/collections/c/search", ["vector": [1, 2, 3]])
            #expect(found["results"]?.asArray?.first?["id"] == "zero" && found["results"]?.asArray?.first?["score"] == 0.0)
            let query = try await node.post("/collections/c/search", ["vector": [0, 0, 0]])
            #expect(query["results"]?.asArray?.first?["score"] == 0.0)
        }
    }

    @Test("a node that drains or cannot read is not healthy, and says why")
    func health() async throws {
        try await TestNode.with { node in
            node.health.report("store", ApusError(.storeFull, "the store is full"), blocks: [.write])
            let degraded = try await node.get("/health")
            #expect(
                degraded.status == 200 && degraded["status"] == "degraded" && degraded["problems"]?.asArray?.first?["code"] == "store.full",
                "\(degraded.raw.text)")
            node.health.recover("store")
            #expect(try await node.get("/health")["status"] == "healthy")
            node.health.drain()
            #expect(try await node.get("/health").status == 503)
        }
    }
}
