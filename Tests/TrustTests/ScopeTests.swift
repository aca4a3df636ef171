import ApusCatalog
import ApusCluster
import ApusHTTP
import ApusTypes
import ApusVectorIndex
import ApusVectors
import DatabaseTestKit
import HTTPTestKit
import NodeTestKit
import TestKit
import Testing

/// Keys for some collections, on both HTTP APIs.
@Suite("keys for some collections")
struct ScopeTests {
    /// In a payload of the collection that the key is not for.
    static let secret = "blue-heron-7f3a"

    /// A node with the collections `mine` and `other`, aliases of both, and keys for `mine` alone.
    struct Lab: Sendable {
        let node: TestNode
        let reader: String
        let writer: String

        func send(_ method: String, _ path: String, _ body: JSONValue? = nil, key: String? = nil) async throws -> TestNode.Reply {
            try await node.send(
                method, path, body?.serialized(), headers: [("Host", "node.example.org"), ("X-API-Key", key ?? writer)])
        }
    }

    static func with(_ body: @Sendable (Lab) async throws -> Void) async throws {
        try await TestNode.with { node in
            try await node.makeMineAndOther(secret: secret)
            func key(_ role: APIKeyRole) async throws -> String {
                try await node.access.create(name: "k", role: role, scope: try CollectionScope(["mine"]), deadline: node.deadline).secret
                    .reveal()
            }
            try await body(Lab(node: node, reader: try await key(.reader), writer: try await key(.writer)))
        }
    }

    // MARK: Every route

    /// What a route needs to get as far as the collection; those that are not here do with `body`.
    static let bodies: [String: JSONValue] = [
        "POST /collections": ["name": "other", "dimension": 2],
        "POST /update": ["collection": "other", "id": "1", "payload": ["a": 1]],
        "POST /batch_update": ["collection": "other", "updates": [["id": "1", "payload": ["a": 1]]]],
        "POST /embed": ["text": "a", "collection": "other"],
        "PUT /qdrant/collections/{collection}": ["vectors": ["size": 2, "distance": "Dot"]],
        "PATCH /qdrant/collections/{collection}": ["metadata": ["a": 1]],
        "POST /qdrant/collections/aliases": [
            "actions": [["create_alias": ["collection_name": "other", "alias_name": "mine"]]]
        ],
        "PUT /qdrant/collections/{collection}/points/vectors": ["points": [["id": 1, "vector": [1, 2]]]],
        "POST /qdrant/collections/{collection}/points/vectors/delete": ["points": [1], "vector": [""]],
        "POST /qdrant/collections/{collection}/points/payload/delete": ["points": [1], "keys": ["word"]],
        "POST /qdrant/collections/{collection}/points/batch": ["operations": [["delete": ["points": [1]]]]],
        "POST /qdrant/collections/{collection}/points/query/batch": ["searches": [["query": [1, 1], "with_payload": true]]],
        "POST /qdrant/collections/{collection}/points/delete": ["points": [1]],
        "POST /qdrant/collections/{collection}/points/payload/clear": ["points": [1]],
        "POST /qdrant/collections/{collection}/points/payload": ["points": [1], "payload": ["a": 1]],
        "PUT /qdrant/collections/{collection}/points/payload": ["points": [1], "payload": ["a": 1]],
        "PUT /qdrant/collections/{collection}/points": ["points": [["id": 1, "vector": [1, 2]]]],
        "POST /qdrant/collections/{collection}/points": ["ids": [1], "with_payload": true],
        "PUT /qdrant/collections/{collection}/index": ["field_name": "word", "field_schema": "keyword"],
        "POST /collections/{name}/hybrid_search": ["query": "a", "vector": [1, 1]],
        "POST /collections/{name}/count": [:], "POST /collections/{name}/scroll": [:],
    ]
    static let body: JSONValue = [
        "collection": "other", "destination": "mine", "vector": [1, 1], "query": [1, 1], "limit": 3, "with_payload": true,
        "id": "1", "ids": ["1"], "vectors": [["id": "1", "embedding": [9, 9]]], "texts": [["id": "1", "text": "a"]],
        "queries": [["vector": [1, 1]]], "filter": ["word": .string(secret)], "patch": ["a": 1], "key": "word", "group_by": "word",
        "payload": ["a": 1], "points": [1],
    ]
    static let qdrantBody: JSONValue = ["query": [1, 1], "limit": 3, "with_payload": true, "key": "word", "group_by": "word"]

    /// Routes that are no collection's, or list what the key is for; none of them tells of the other one.
    static let open: Set<String> = [
        "GET /collections", "GET /status", "GET /stats", "GET /health", "GET /health/live", "GET /health/ready", "GET /qdrant",
        "GET /qdrant/", "GET /qdrant/healthz", "GET /qdrant/livez", "GET /qdrant/readyz", "GET /qdrant/collections", "GET /qdrant/aliases",
        "GET /api/deleted-collections",
        // Open to everybody, with the names of collections as labels.
        "GET /prometheus/metrics",
    ]
    /// Not offered, whoever asks and for whatever.
    static let absent: Set<String> = ["POST /intelligent_search", "POST /contextual_search", "POST /multi_collection_search"]

    /// Asks for a proof in its body, and for no key.
    static let proved = "POST /api/join"

    @Test("no route gives data of another collection or has an effect on it, by its name or by an alias", arguments: ["other", "mine-not"])
    func everyRoute(name: String) async throws {
        try await Self.with { lab in
            let deadline = lab.node.deadline
            let before = try await lab.node.vectors.scroll("other", limit: 100, with: [.vector, .payload], deadline: deadline)
            #expect(lab.node.routes.count > 100, "the routes were not found; the test would prove nothing")
            for (method, path) in lab.node.routes {
                let route = "\(method.rawValue) \(path)"
                let filled = path.split(separator: "/", omittingEmptySubsequences: false).map { part in
                    switch part {
                    case "{name}" where path.hasPrefix("/api/models"), "{node}", "{peer}": "1"
                    case "{name}", "{collection}": name
                    case _ where part.hasPrefix("{"): "1"
                    default: String(part)
                    }
                }.joined(separator: "/")
                let isQdrant = path.hasPrefix("/qdrant")
                var body: JSONValue = Self.bodies[route] ?? (isQdrant ? Self.qdrantBody : Self.body)
                if body["collection"] != nil, case .object(var object) = body {
                    object["collection"] = .string(name)
                    body = .object(object)
                }
                for key in [lab.reader, lab.writer] {
                    let reply = try await lab.send(method.rawValue, filled, method == .get ? nil : body, key: key)
                    #expect(!reply.raw.text.contains(Self.secret), "\(route): \(reply.raw.text)")
                    if Self.open.contains(route) {
                        #expect(reply.status == 200, "\(route): \(reply.status)")
                        if route != "GET /prometheus/metrics" { #expect(!reply.raw.text.contains("other"), "\(route): \(reply.raw.text)") }
                    } else if route == Self.proved {
                        #expect(reply.status == 400, "\(route): \(reply.status)")
                    } else if Self.absent.contains(route) {
                        #expect(reply.status == 501, "\(route): \(reply.status)")
                    } else {
                        #expect(reply.status == 403, "\(route): \(reply.status) \(reply.raw.text)")
                    }
                }
            }
            for route in Self.open.union(Self.absent).union(Self.bodies.keys) {
                #expect(lab.node.routes.contains { "\($0.method.rawValue) \($0.path)" == route }, "\(route) is not there")
            }
            let after = try await lab.node.vectors.scroll("other", limit: 100, with: [.vector, .payload], deadline: deadline)
            #expect(after.points == before.points && after.points.count == 3)
            #expect(try lab.node.vectors.aliases().map(\.alias) == ["mine-not", "of-mine"])
            #expect(try lab.node.vectors.collections().map(\.name) == ["mine", "other"])
            #expect(try await lab.node.vectors.count("mine", deadline: deadline) == 3)
            #expect(try await lab.node.vectors.snapshots(of: "other", deadline: deadline).isEmpty)
            #expect(try await lab.node.vectors.payloadIndexes(of: "other", deadline: deadline).isEmpty)
            #expect(try await lab.node.vectors.settings(of: "other", deadline: deadline) == nil)
        }
    }

    // MARK: What it is for

    @Test("Vectorizer's API: its own collection is read and written, also by an alias; 403 is in that API's form")
    func vectorizer() async throws {
        try await Self.with { lab in
            let list = try await lab.send("GET", "/collections")
            #expect(list["collections"]?.asArray?.compactMap { $0["name"]?.asString } == ["mine"] && list["total_collections"] == 1)
            #expect(try await lab.send("GET", "/stats")["total_vectors"] == 3)
            for name in ["mine", "of-mine"] {
                let found = try await lab.send("POST", "/collections/\(name)/search", ["vector": [1, 1]], key: lab.reader)
                #expect(found.status == 200 && found.raw.text.contains("own"))
            }
            let points: JSONValue = ["collection": "mine", "vectors": [["id": "9", "embedding": [1, 2]]]]
            #expect(try await lab.send("POST", "/insert_vectors", points).status == 200)
            #expect(try await lab.send("POST", "/insert_vectors", points, key: lab.reader).status == 403)
            #expect(try await lab.node.vectors.count("mine", deadline: lab.node.deadline) == 4)

            let refused = try await lab.send("GET", "/collections/other")
            #expect(refused.status == 403 && refused["error_type"] == "forbidden" && refused["code"] == "auth.forbidden")
            #expect(refused["message"]?.asString?.contains("'other'") == true)
            // What is not there is told to nobody: both look the same.
            let absent = try await lab.send("GET", "/collections/nowhere")
            #expect(absent.status == 403)
            // One collection of a batch is enough, and both of a copy.
            let batch: JSONValue = ["queries": [["collection": "mine", "vector": [1, 1]], ["collection": "other", "vector": [1, 1]]]]
            #expect(try await lab.send("POST", "/batch_search", batch).status == 403)
            for (source, destination) in [("mine", "other"), ("other", "mine")] {
                for verb in ["copy", "move"] {
                    let reply = try await lab.send(
                        "POST", "/collections/\(source)/vectors/\(verb)", ["destination": .string(destination), "ids": ["1"]])
                    #expect(reply.status == 403, "\(verb) \(source): \(reply.raw.text)")
                }
            }
        }
    }

    @Test("Qdrant's API: lists show what the key is for; lookups and aliases are judged by every collection that they touch")
    func qdrant() async throws {
        try await Self.with { lab in
            let list = try await lab.send("GET", "/qdrant/collections")
            #expect(list["result"]?["collections"] == [["name": "mine"]])
            let aliases = try await lab.send("GET", "/qdrant/aliases")
            #expect(aliases["result"]?["aliases"] == [["alias_name": "of-mine", "collection_name": "mine"]])
            let query = "/qdrant/collections/mine/points/query"
            #expect(try await lab.send("POST", query, ["query": [1, 1]], key: lab.reader).status == 200)
            let refused = try await lab.send("POST", "/qdrant/collections/other/points/query", ["query": [1, 1]])
            #expect(refused["status"]?["error"]?.asString?.hasPrefix("Forbidden: ") == true && refused["time"] != nil)
            for body: JSONValue in [
                ["query": 1, "lookup_from": ["collection": "other"]], ["query": 1, "lookup_from": ["collection": "mine-not"]],
                ["query": ["recommend": ["positive": [1]]], "lookup_from": ["collection": "other"]],
                ["prefetch": ["query": 1, "lookup_from": ["collection": "other"]], "query": ["fusion": "rrf"]],
            ] {
                #expect(try await lab.send("POST", query, body).status == 403, "\(body)")
                #expect(try await lab.send("POST", query + "/batch", ["searches": [["query": [1, 1]], body]]).status == 403)
            }
            #expect(try await lab.send("POST", query, ["query": 1, "lookup_from": ["collection": "of-mine"]]).status == 200)
            let groups: JSONValue = ["query": [1, 1], "group_by": "n", "with_lookup": "other"]
            _ = try await lab.node.vectors.upsert(
                [Point(id: .integer(7), vector: [9, 9], payload: Array(#"{"n":1}"#.utf8))], into: "mine", deadline: lab.node.deadline)
            let looked = try await lab.send("POST", query + "/groups", groups)
            #expect(looked.status == 403 && !looked.raw.text.contains(Self.secret))

            func change(_ actions: JSONValue...) async throws -> Int {
                try await lab.send("POST", "/qdrant/collections/aliases", ["actions": .array(actions)]).status
            }
            func create(_ alias: String, _ collection: String) -> JSONValue {
                ["create_alias": ["alias_name": .string(alias), "collection_name": .string(collection)]]
            }
            // A new alias takes a name that others may want, or have; an old one is its collection's.
            #expect(try await change(create("free", "mine")) == 403)
            #expect(try await change(create("mine-not", "mine")) == 403)
            #expect(try await change(["delete_alias": ["alias_name": "mine-not"]]) == 403)
            #expect(try await change(["rename_alias": ["old_alias_name": "mine-not", "new_alias_name": "mine"]]) == 403)
            #expect(try await change(["delete_alias": ["alias_name": "of-mine"]], ["delete_alias": ["alias_name": "mine-not"]]) == 403)
            #expect(try lab.node.vectors.aliases().map(\.alias) == ["mine-not", "of-mine"])
            #expect(try await change(["delete_alias": ["alias_name": "of-mine"]]) == 200)
            #expect(try lab.node.vectors.aliases().map(\.alias) == ["mine-not"])
        }
    }

    @Test("a beginning of a name with * is for collections that are made later; the key makes and deletes them itself")
    func wildcard() async throws {
        try await Self.with { lab in
            let made = try await lab.node.post("/api/keys", ["name": "shop", "role": "writer", "collections": ["shop-*", "mine"]])
            #expect(made.status == 201 && made["collections"] == ["mine", "shop-*"])
            let key = try #require(made["secret"]?.asString)
            #expect(try await lab.node.get("/api/keys")["keys"]?.asArray?.contains { $0["collections"] == ["mine", "shop-*"] } == true)
            #expect(try await lab.send("POST", "/collections", ["name": "shop-2026", "dimension": 2], key: key).status == 200)
            #expect(try await lab.send("POST", "/collections", ["name": "sho", "dimension": 2], key: key).status == 403)
            #expect(try await lab.send("GET", "/collections", key: key)["total_collections"] == 2)
            let alias: JSONValue = ["actions": [["create_alias": ["alias_name": "shop-now", "collection_name": "shop-2026"]]]]
            #expect(try await lab.send("POST", "/qdrant/collections/aliases", alias, key: key).status == 200)
            #expect(try await lab.send("GET", "/collections/shop-now", key: key).status == 200)
            // The other key is for neither the alias nor the collection.
            #expect(try await lab.send("GET", "/collections/shop-now").status == 403)
            #expect(try await lab.send("DELETE", "/collections/shop-2026").status == 403)
            #expect(try await lab.send("DELETE", "/collections/shop-2026", key: key).status == 200)

            for bad: JSONValue in [[], ["a/b"], ["*a"], [1], "mine", [""], .array([JSONValue](repeating: "a", count: 101))] {
                let reply = try await lab.node.post("/api/keys", ["name": "x", "role": "reader", "collections": bad])
                #expect(reply.status == 400, "\(bad)")
            }
            #expect(try await lab.node.post("/api/keys", ["name": "x", "role": "administrator", "collections": ["a"]]).status == 400)
        }
    }
}
