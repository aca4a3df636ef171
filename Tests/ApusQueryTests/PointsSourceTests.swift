import ApusDatabase
import ApusQueryPlan
import ApusSchemas
import ApusTypes
import ApusVectorIndex
import TestKit
import Testing

@testable import ApusQuery

/// Collections as tables: exact ones in memory, everything else as a node has it.
@Suite("vectors sources")
struct PointsSourceTests {
    private static func with(
        _ collections: Collections, sources more: [SourceDefinition] = [], schema: String = "", _ body: (SourceLab) async throws -> Void
    ) async throws {
        var definition = SourceDefinition("v", kind: .vectors, path: "articles")
        definition.isSelfDescribed = schema.isEmpty
        if !schema.isEmpty { definition.files = [SchemaFile(name: "v", text: schema)] }
        var options = SourceOpener.Options()
        options.collections = collections
        try await SourceLab.with([definition] + more, options: options) { try await body($0) }
    }

    private static func ids(_ lab: SourceLab, _ arguments: String) async throws -> String {
        let answer = await lab.answer("{ articles(\(arguments)) { id } }")
        guard let rows = try JSONValue(parsing: Array(answer.utf8))["data"]?["articles"]?.asArray else { return answer }
        return rows.map { $0["id"]?.description ?? "?" }.joined(separator: " ")
    }

    @Test("a collection describes itself by its indexes and by what the first points hold")
    func description() async throws {
        let collections = try Collections.articles()
        let points = try await collections.points("articles", matching: .everything, limit: 9, .payload, deadline: .distantFuture)
        let text = DescribedCollection(try await collections.facts(of: "articles", deadline: .distantFuture), points).text
        #expect(
            text == """
                "What was written"
                type articles @table(name: "articles") @embeddings(model: "bm25", vector: "vector", distance: Cosine) {
                  id: BigInt! @pk
                  "How near it is, where it was searched for"
                  _score: Float
                  "All that it holds"
                  payload: JSON
                  "Cosine"
                  vector: Vector @dim(len: 2)
                  author_name: String @field_source(field: "author.name")
                  tags: [String]
                  written: Timestamp
                  author: JSON
                  draft: Boolean
                  price: Float
                  product: BigInt
                  title: String
                }

                """)
    }

    @Test("points are rows; a value that is not of its field's type is null there, and whole in the payload")
    func rows() async throws {
        let collections = try Collections.articles()
        try await Self.with(collections) { lab in
            #expect(
                await lab.answer("{ articles { id title tags price written author_name draft _score __typename } }")
                    == #"{"data":{"articles":[{"id":1,"title":"north","tags":["a","b"],"price":1.5,"written":"2026-01-02T00:00:00.000000Z","author_name":"Ann","draft":null,"_score":null,"__typename":"articles"},{"id":2,"title":"south","tags":["b"],"price":2.0,"written":"2026-03-01T09:00:00.000000Z","author_name":"Bo","draft":null,"_score":null,"__typename":"articles"},{"id":3,"title":"east","tags":["c"],"price":null,"written":null,"author_name":null,"draft":true,"_score":null,"__typename":"articles"},{"id":4,"title":"west wind","tags":null,"price":null,"written":null,"author_name":null,"draft":null,"_score":null,"__typename":"articles"},{"id":5,"title":"no number","tags":null,"price":7.25,"written":null,"author_name":null,"draft":false,"_score":null,"__typename":"articles"}]}}"#
            )
            #expect(
                await lab.answer("{ articles(limit: 1, offset: 3) { payload } }")
                    == #"{"data":{"articles":[{"payload":{"title":"west wind","product":3}}]}}"#)
            #expect(collections.asked.last == Collections.Asked(what: "points", count: 4, parts: .payload), "no more than the page needs")
            #expect(
                await lab.answer("{ articles_by_pk(id: 3) { id vector } }") == #"{"data":{"articles_by_pk":{"id":3,"vector":"[0.0,1.0]"}}}"#
            )
            #expect(collections.asked.last == Collections.Asked(what: "ids", count: 1, parts: PointParts(members: [], vectors: true)))
            #expect(
                await lab.answer("{ articles_aggregation(filter: {product: {eq: 2}}) { n: _rows_count __typename } }")
                    == #"{"data":{"articles_aggregation":{"n":2,"__typename":"_articles_aggregation"}}}"#)
            #expect(
                collections.asked.last == Collections.Asked(what: "count", count: 2, parts: PointParts()), "no point is read to count them")
            #expect(
                await lab.answer("{ articles_aggregation(limit: 3) { _rows_count } }")
                    == #"{"data":{"articles_aggregation":{"_rows_count":3}}}"#)
            #expect(await lab.answer("{ articles_by_pk(id: 99) { id } }") == #"{"data":{"articles_by_pk":null}}"#)
            #expect(
                await lab.answer("{ articles_aggregation { _rows_count price { sum max } } }")
                    == #"{"data":{"articles_aggregation":{"_rows_count":5,"price":{"sum":10.75,"max":7.25}}}}"#)
            #expect(
                await lab.answer(
                    "{ articles_bucket_aggregation(order_by: [{field: \"key.product\"}]) { key { product } aggregations { _rows_count } } }"
                )
                    == #"{"data":{"articles_bucket_aggregation":[{"key":{"product":1},"aggregations":{"_rows_count":2}},{"key":{"product":2},"aggregations":{"_rows_count":2}},{"key":{"product":3},"aggregations":{"_rows_count":1}}]}}"#
            )
        }
    }

    @Test("of payloads those members are read that the statement has to do with")
    func members() async throws {
        let collections = try Collections.articles()
        try await Self.with(collections) { lab in
            for (query, members) in [
                ("{ articles { id } }", []), ("{ articles { id author_name } }", ["author"]),
                ("{ articles(filter: {product: {eq: 1}}) { id } }", []),
                ("{ articles(order_by: [{field: \"title\"}]) { id } }", ["title"]),
                ("{ articles(distinct_on: [\"product\"]) { title } }", ["product", "title"]),
                ("{ articles_aggregation { price { sum } } }", ["price"]),
                ("{ articles_bucket_aggregation { key { product } aggregations { price { max } } } }", ["price", "product"]),
                (
                    "{ articles(limit: 1) { id _join(fields: [\"product\"]) { articles(fields: [\"product\"]) { title } } } }",
                    ["product", "title"]
                ),
            ] {
                let answer = await lab.answer(query)
                #expect(!answer.contains("errors"), "\(answer)")
                #expect(
                    collections.asked.last?.parts.members?.sorted() == members && collections.asked.last?.parts.vectors == false, "\(query)"
                )
            }
            _ = await lab.answer("{ articles(limit: 1) { payload title } }")
            #expect(collections.asked.last?.parts == .payload)
            #expect(
                await lab.answer("{ articles_by_pk(id: 1) { _vector_distance(vector: [1, 0], distance: Cosine) } }")
                    == #"{"data":{"articles_by_pk":{"_vector_distance":0.0}}}"# || collections.asked.last?.parts.vectors == true)
        }
    }

    @Test(
        "an order by a number or time is the collection's where it knows it as the engine does; points without a value come last",
        arguments: [
            ("order_by: [{field: \"price\"}], limit: 2", "1 2", "ordered"),
            ("order_by: [{field: \"price\", direction: DESC}], limit: 2, offset: 1", "2 1", "ordered"),
            ("order_by: [{field: \"price\", direction: DESC}], limit: 1, filter: {price: {lt: 5}}", "2", "ordered"),
            ("order_by: [{field: \"written\", direction: DESC}], limit: 2", "2 1", "ordered"),
            // Two more have none: the collection does not tell them.
            ("order_by: [{field: \"price\"}], limit: 4", "1 2 5 3", "points"), ("order_by: [{field: \"price\"}]", "1 2 5 3 4", "points"),
            ("order_by: [{field: \"price\"}, {field: \"id\"}], limit: 2", "1 2", "points"),
            ("order_by: [{field: \"title\"}], limit: 2", "3 5", "points"),
            ("order_by: [{field: \"product\"}], distinct_on: [\"product\"], limit: 2", "1 2", "points"),
        ])
    func order(arguments: String, expected: String, asked: String) async throws {
        let collections = try Collections.articles()
        try await Self.with(collections) { lab in
            let found = try await Self.ids(lab, arguments)
            #expect(found == expected)
            #expect(collections.asked.last?.what == asked)
        }
    }

    @Test("values of another type and lists of them do not come between, whatever the collection orders by")
    func otherTypes() async throws {
        let facts = CollectionFacts(name: "articles", fields: [.init(name: "", dimension: 1, metric: .cosine)], indexes: ["n": "integer"])
        let payloads = [#"{"n":3}"#, #"{"n":[9,1]}"#, #"{"n":"7"}"#, #"{"n":2}"#, #"{"n":8.5}"#]
        let collections = try Collections(facts, payloads.enumerated().map { ("\($0 + 1)", [1], $1) })
        let schema = "type articles @table(name: \"articles\") { id: BigInt! @pk  n: BigInt }"
        try await Self.with(collections, schema: schema) { lab in
            let largest = try await Self.ids(lab, "order_by: [{field: \"n\", direction: DESC}], limit: 2")
            #expect(largest == "1 4")
            let smallest = try await Self.ids(lab, "order_by: [{field: \"n\"}], limit: 3")
            #expect(smallest == "4 1 2")
        }
    }

    @Test(
        "filters are the engine's, with SQL's idea of null",
        arguments: [
            ("filter: {title: {eq: \"north\"}}", "1"), ("filter: {price: {gt: 1.5}}", "2 5"), ("filter: {price: {eq: 2}}", "2"),
            ("filter: {_not: {price: {gt: 1.5}}}", "1"), ("filter: {price: {is_null: true}}", "3 4"),
            ("filter: {_not: {price: {is_null: true}}}", "1 2 5"), ("filter: {price: {ne: 2}}", "1 5"),
            ("filter: {_or: [{price: {gt: 5}}, {title: {like: \"%wind\"}}]}", "like"), ("filter: {title: {like: \"%n%\"}}", "1 4 5"),
            ("filter: {title: {like: \"no%\"}}", "1 5"), ("filter: {tags: {contains: [\"a\", \"b\"]}}", "1"),
            ("filter: {tags: {intersects: [\"a\", \"c\"]}}", "1 3"), ("filter: {author_name: {in: [\"Bo\", \"Cy\"]}}", "2"),
            ("filter: {title: {in: []}}", ""), ("filter: {title: {eq: null}}", "1 2 3 4 5"),
            ("filter: {_not: {title: {eq: null}}}", "1 2 3 4 5"),
            ("filter: {written: {gte: \"2026-03-01T09:00:00Z\"}}", "2"), ("filter: {written: {lt: \"2026-03-01T09:00:00Z\"}}", "1"),
            ("filter: {draft: {eq: true}}", "3"), ("filter: {_not: {draft: {eq: true}}}", "5"), ("filter: {id: {in: [5, 1, 77]}}", "1 5"),
            ("filter: {_not: {id: {eq: 2}}, product: {eq: 2}}", "5"), ("filter: {vector: {is_null: true}}", ""),
            ("filter: {price: {gt: 1}}, order_by: [{field: \"price\", direction: DESC}], limit: 2", "5 2"),
            ("distinct_on: [\"product\"]", "1 2 4"), ("filter: {title: {regex: \"n\"}}", "regex"),
            ("filter: {payload: {has: \"a\"}}", "payload"),
        ])
    func filters(arguments: String, expected: String) async throws {
        try await Self.with(try Collections.articles()) { lab in
            let found = try await Self.ids(lab, arguments)
            // What is refused says what it is about.
            #expect(
                found == expected || found.contains("request.invalid") && found.contains(expected.filter { $0 != "\"" && $0 != "%" }),
                "\(found)")
        }
    }

    @Test("a search finds the nearest of what the filter lets through, with their scores; its order is that of the rows")
    func search() async throws {
        let collections = try Collections.articles()
        try await Self.with(collections) { lab in
            let near = "similarity: {name: \"vector\", vector: [1, 0], distance: Cosine, limit: 3}"
            #expect(try await Self.ids(lab, near) == "1 2 5")
            #expect(
                collections.asked.last == Collections.Asked(what: "search", count: 3, parts: PointParts()),
                "of these nothing but ids is asked")
            #expect(try await Self.ids(lab, near + ", filter: {product: {eq: 2}}") == "2 5")
            #expect(try await Self.ids(lab, near + ", filter: {_score: {gt: 0.7}}") == "1 2", "what is found is filtered")
            #expect(try await Self.ids(lab, near + ", limit: 1, offset: 1") == "2")
            #expect(try await Self.ids(lab, near + ", order_by: [{field: \"price\", direction: DESC}]") == "5 2 1")
            #expect(try await Self.ids(lab, near + ", distinct_on: [\"product\"]") == "1 2", "the nearest of each")
            #expect(
                await lab.answer("{ articles(semantic: {query: \"northern\", limit: 1}) { id _score } }")
                    == #"{"data":{"articles":[{"id":1,"_score":1.0}]}}"#)
            let variables: JSONObject = ["v": [0, 1], "n": 1]
            let text =
                "query($v: Vector!, $n: Int!) { articles(similarity: {name: \"vector\", vector: $v, distance: Cosine, limit: $n}) { id } }"
            #expect(await lab.answer(text, variables) == #"{"data":{"articles":[{"id":3}]}}"#)
            for (arguments, part) in [
                ("similarity: {name: \"vector\", vector: [1, 0], distance: L2, limit: 3}", "searched by Cosine"),
                ("similarity: {name: \"title\", vector: [1, 0], distance: Cosine, limit: 3}", "no vector"),
                ("similarity: {name: \"vector\", vector: [1, 0], distance: Cosine, limit: -1}", "must not be negative"),
                ("similarity: {name: \"vector\", vector: [1, 0], distance: Cosine, limit: 50000}", "more than 20000 points"),
                ("filter: {_or: [{_score: {gt: 1}}]}", "member of a field's filter itself"),
            ] {
                let answer = try await Self.ids(lab, arguments)
                #expect(answer.contains("\"errors\"") && answer.contains(part), "\(answer)")
            }
            collections.isIncomplete = true
            #expect(try await Self.ids(lab, near).contains("search.incomplete"), "half an answer is none")
        }
    }

    @Test("rows of a database and points are joined by keys, both ways: one question for all rows")
    func joins() async throws {
        let directory = try TemporaryDirectory()
        let shop = try await SourceLab.sqlite(
            "shop", in: directory,
            [
                "CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT)",
                "INSERT INTO products VALUES (1, 'shoe'), (2, 'hat'), (9, 'bag')",
            ],
            schema: "type products @table(name: \"products\") { id: BigInt! @pk name: String }")
        var bridge = SourceDefinition("bridge", kind: .extension, path: "")
        bridge.files = [
            SchemaFile(
                name: "bridge",
                text: """
                    extend type products @dependency(name: "v") {
                      articles: [articles] @join(references_name: "articles", source_fields: ["id"], references_fields: ["product"])
                    }
                    extend type articles @dependency(name: "shop") {
                      products: [products] @join(references_name: "products", source_fields: ["product"], references_fields: ["id"])
                    }
                    """)
        ]
        let collections = try Collections.articles()
        try await Self.with(collections, sources: [shop, bridge]) { lab in
            let before = collections.asked.count
            #expect(
                await lab.answer("{ products { name articles(filter: {title: {like: \"%o%\"}}) { id } } }")
                    == #"{"data":{"products":[{"name":"shoe","articles":[{"id":1}]},{"name":"hat","articles":[{"id":2},{"id":5}]},{"name":"bag","articles":null}]}}"#
            )
            #expect(collections.asked.count == before + 1)
            #expect(collections.asked.last?.count == 3, "the engine is asked for these rows' points alone")
            #expect(
                await lab.answer(
                    "{ products { name articles(similarity: {name: \"vector\", vector: [0, 1], distance: Cosine, limit: 2}) { id _score } } }"
                )
                    == #"{"data":{"products":[{"name":"shoe","articles":[{"id":3,"_score":1.0}]},{"name":"hat","articles":[{"id":5,"_score":0.800000011920929}]},{"name":"bag","articles":null}]}}"#
            )
            #expect(
                await lab.answer("{ articles(semantic: {query: \"northern\", limit: 2}) { title products { name } } }")
                    == #"{"data":{"articles":[{"title":"north","products":[{"name":"shoe"}]},{"title":"south","products":[{"name":"hat"}]}]}}"#
            )
            #expect(
                await lab.answer("{ products { _join(fields: [\"id\"]) { articles(fields: [\"id\"], nested_limit: 1) { title } } } }")
                    == #"{"data":{"products":[{"_join":{"articles":[{"title":"north"}]}},{"_join":{"articles":[{"title":"south"}]}},{"_join":{"articles":null}}]}}"#
            )
            #expect(
                collections.asked.last == Collections.Asked(what: "ids", count: 2, parts: PointParts(members: ["title"])), "by their ids")
            #expect(
                await lab.answer("{ products { articles_aggregation { _rows_count } } }")
                    == #"{"data":{"products":[{"articles_aggregation":{"_rows_count":2}},{"articles_aggregation":{"_rows_count":2}},{"articles_aggregation":{"_rows_count":0}}]}}"#
            )
            #expect(
                await lab.answer("{ articles(limit: 1) { _join(fields: [\"product\"]) { articles(fields: [\"product\"]) { id } } } }")
                    == #"{"data":{"articles":[{"_join":{"articles":[{"id":1},{"id":3}]}}]}}"#)
        }
    }

    @Test("a text of a client that looks like a question is a text")
    func injection() async throws {
        try await Self.with(try Collections.articles()) { lab in
            let text = "query($s: [String!]) { articles(filter: {title: {in: $s}}) { id } }"
            #expect(await lab.answer(text, ["s": [#"{"collection":"secret"}"#, "north"]]) == #"{"data":{"articles":[{"id":1}]}}"#)
        }
    }
}
