import ApusGraphQL
import ApusTypes
import Testing

@testable import ApusQueryPlan
@testable import ApusSchemas

@Suite("plans that are used again")
struct PlanCacheTests {
    /// Operations with variables wherever a plan may depend on them, and values to give them; nil: not given.
    static let operations: [(text: String, values: [String: [JSONValue?]])] = [
        (
            "query($id: Int, $n: Boolean, $name: String) { pg_store { products(filter: {id: {eq: $id}, quantity: {is_null: $n}, name: {like: $name}}) { id } } }",
            ["id": [1, 2, nil, .null], "n": [true, false, nil, .null], "name": ["a%", "_b*", nil]]
        ),
        (
            "query($f: pg_store_products_filter) { pg_store { products(filter: $f) { id } n: products_aggregation(filter: $f) { _rows_count } } }",
            [
                "f": [
                    nil, .null, ["id": ["eq": 1]], ["id": ["eq": 2]], ["id": ["gt": 2]], ["name": ["eq": "x"]],
                    ["id": ["eq": 1], "name": ["eq": "x"]],
                    ["name": ["eq": "x"], "id": ["eq": 1]], ["_or": [["id": ["eq": 1]], ["id": ["eq": 2]]]], ["_or": [["id": ["eq": 1]]]],
                    ["_or": []], ["_not": ["id": ["in": [1, 2]]]], ["_not": ["id": ["in": []]]], ["id": ["eq": .null]], ["id": .null],
                    ["category": ["name": ["eq": "y"]]], ["id": ["is_null": true]], ["id": ["is_null": false]],
                ]
            ]
        ),
        (
            "query($path: String!, $d: OrderDirection, $l: Int, $o: Int) { pg_store { products(order_by: [{field: $path, direction: $d}], limit: $l, offset: $o) { id name } } }",
            [
                "path": ["id", "name", "category.name", "nothing", "id\"; DROP"], "d": ["ASC", "DESC", nil, .null],
                "l": [1, 2, nil, .null, -1],
                "o": [nil, 3, -3],
            ]
        ),
        (
            "query($o: [OrderByField], $d: [String]) { pg_store { products(order_by: $o, distinct_on: $d) { id } } }",
            [
                "o": [nil, [], [["field": "id"]], [["field": "id"], ["field": "name", "direction": "DESC"]]],
                "d": [nil, [], ["name"], ["id", "name"]],
            ]
        ),
        (
            "query($u: TimeBucket, $i: Interval, $p: TimeExtract!) { pg_store { products { created_at(bucket: $u, bucket_interval: $i) _created_at_part(extract: $p) } } }",
            ["u": ["day", "month", nil, .null], "i": [nil, "1h", "2h"], "p": ["year", "month"]]
        ),
        (
            "query($s: JSON, $p: String!) { pg_store { products { tags(struct: $s) } products_aggregation { tags { sum(path: $p) } } } }",
            ["s": [nil, ["a": true], ["b": true], ["a": true, "b": true], ["b": true, "a": true], "x"], "p": ["a", "b"]]
        ),
        (
            "query($s: Boolean!, $i: Boolean!) { pg_store { products { id name @skip(if: $s) category @include(if: $i) { id } } } }",
            ["s": [true, false], "i": [true, false]]
        ),
        (
            "query($t: [JSON!], $h: String, $j: JSON) { pg_store { products(filter: {tags: {has: $h, contains: $j}}) { id } } }",
            ["h": [nil, "a", "b"], "j": [nil, ["a": 1], [1, 2], "x", .null]]
        ),
        (
            "query($d: Boolean, $sep: String!) { pg_store { products_aggregation { name { string_agg(sep: $sep, distinct: $d) } } } }",
            ["d": [true, false, nil], "sep": [",", "|"]]
        ),
        (
            "mutation($d: pg_store_products_mut_data!, $id: Int) { pg_store { update_products(filter: {id: {eq: $id}}, data: $d) { affected_rows } } }",
            [
                "d": [
                    ["quantity": 1], ["quantity": 2], ["quantity": .null], ["quantity": 1, "name": "x"], ["tags": ["a": 1]], ["tags": [1]],
                    [:],
                ], "id": [1, 2, nil, .null],
            ]
        ),
        (
            "mutation($d: pg_store_products_mut_input_data!) { pg_store { insert_products(data: $d) { id } } }",
            [
                "d": [
                    ["name": "a"], ["name": "b"], ["name": "a", "category": ["name": "c"]],
                    ["name": "a", "price_ranges": [[:], ["valid_price": "[1,2)"]]], [:],
                ]
            ]
        ),
        ("{ pg_store { products_for_current_user { id } } }", [:]),
        (
            "query($a: Float!, $b: Float!) { pg_store { products_in_price_range(args: {min_price: $a, max_price: $b}) { id } } }",
            ["a": [1, 2.5], "b": [3]]
        ),
    ]

    /// All ways to give the variables values.
    static func requests(_ values: [String: [JSONValue?]]) -> [JSONObject] {
        values.sorted { $0.key < $1.key }.reduce([JSONObject()]) { requests, variable in
            requests.flatMap { request in
                variable.value.map { value in
                    var request = request
                    request[variable.key] = value
                    return request
                }
            }
        }
    }

    /// A plan with its values as they would be bound, or why there is none.
    static func text(_ plan: () throws -> OperationPlan) -> String {
        do {
            return "\(try plan())"
        } catch let error as GraphQLError {
            return error.message
        } catch {
            return (error as? GraphQLErrors)?.errors.map(\.message).joined() ?? "\(error)"
        }
    }

    @Test("a plan from the cache is the plan that would be made", arguments: operations.indices, SQLEngine.allCases)
    func same(_ index: Int, _ engine: SQLEngine) throws {
        let (text, values) = Self.operations[index]
        let api = try Store.api(engine)
        let document = try GraphQLDocument(parsing: text)
        #expect(api.schema.problems(with: document).filter { !$0.message.contains("never used") }.isEmpty)
        let operation = try PreparedOperation(document, schema: api.schema)
        let key = PlanCache.Key(text: Array(text.utf8), scope: .init(schema: 1))
        var cache = PlanCache(capacity: 1 << 24)
        let identities: [JSONObject] = [["auth.user_id_int": 2], ["auth.user_id_int": "two"], [:]]
        for round in 0..<3 {
            for request in Self.requests(values) {
                for identity in index == 11 ? identities : [identities[round]] {
                    let planner = QueryPlanner(api, identity: identity)
                    let cached = Self.text {
                        try cache.plan(key, variables: request, identity: identity, planner: planner) { operation }
                    }
                    let fresh = Self.text {
                        try planner.plan(operation, variables: try operation.variables(from: request))
                    }
                    #expect(cached == fresh, "\(request)")
                }
            }
        }
        #expect(cache.hits > 0)
    }

    @Test("values that are only bound share a plan; those that change the text do not")
    func shared() throws {
        let api = try Store.api()
        let text =
            "query($id: Int!, $d: OrderDirection) { pg_store { products(filter: {id: {gt: $id}}, order_by: [{field: \"id\", direction: $d}]) { id } } }"
        let operation = try PreparedOperation(try GraphQLDocument(parsing: text), schema: api.schema)
        var cache = PlanCache(capacity: 1 << 20)
        func ask(_ variables: JSONObject) throws -> OperationPlan {
            try cache.plan(
                .init(text: Array(text.utf8), scope: .init(schema: 1)), variables: variables, identity: [:], planner: QueryPlanner(api)
            ) { operation }
        }
        for id in 0..<50 { _ = try ask(["id": .integer(Int64(id)), "d": "DESC"]) }
        #expect(cache.misses == 1)
        _ = try ask(["id": 1, "d": "ASC"])
        _ = try ask(["id": 1])
        #expect(cache.misses == 3)
        let plan = try ask(["id": 7, "d": "DESC"])
        #expect(cache.misses == 3)
        #expect(plan.description.contains("$1 = 7"))
    }

    @Test("plans of another schema, role or version of permissions are not used")
    func scopes() throws {
        let api = try Store.api()
        let text = "{ pg_store { products { id } } }"
        let operation = try PreparedOperation(try GraphQLDocument(parsing: text), schema: api.schema)
        var cache = PlanCache(capacity: 1 << 20)
        let scopes = [
            PlanCache.Key.Scope(schema: 1, permissions: 1, role: "a"), .init(schema: 2, permissions: 1, role: "a"),
            .init(schema: 1, permissions: 2, role: "a"), .init(schema: 1, permissions: 1, role: "b"),
        ]
        for scope in scopes {
            _ = try cache.plan(.init(text: Array(text.utf8), scope: scope), variables: [:], identity: [:], planner: QueryPlanner(api)) {
                operation
            }
        }
        #expect(cache.misses == 4)
        #expect(cache.count == 4)
    }

    @Test("what a source does itself is not kept: its values, and those in the text of a mutation, may be secrets")
    func acting() throws {
        var source = SourceDescription(name: "own", kind: .database(.sqlite), prefix: "own", isModule: true)
        source.actsItself = true
        let file = SchemaFile(name: "own", text: "type keys @table(name: \"keys\") { id: Int! @pk secret: String! }")
        let api = try DataAPI(of: try DataModel(joining: [SchemaReader.read([file], of: source)]))
        let text = "mutation($s: String!) { own { insert_keys(data: {id: 1, secret: $s}) { id } } }"
        let operation = try PreparedOperation(try GraphQLDocument(parsing: text), schema: api.schema)
        var cache = PlanCache(capacity: 1 << 20)
        let key = PlanCache.Key(text: Array(text.utf8), scope: .init(schema: 1))
        let plan = try cache.plan(key, variables: ["s": "hush"], identity: [:], planner: QueryPlanner(api)) { operation }
        #expect(plan.statements[0].action != nil)
        var limits = PlanLimits()
        limits.statements = 0
        #expect(throws: (any Error).self) {
            try cache.plan(key, variables: ["s": "hush"], identity: [:], planner: QueryPlanner(api, limits: limits)) { operation }
        }
        #expect(cache.count == 0)
    }

    @Test("a cache keeps within its capacity, however many plans an operation has")
    func bounded() throws {
        let api = try Store.api()
        let text = "query($p: String!) { pg_store { products_aggregation { tags { sum(path: $p) } } } }"
        let operation = try PreparedOperation(try GraphQLDocument(parsing: text), schema: api.schema)
        var cache = PlanCache(capacity: 100_000)
        for number in 0..<200 {
            for scope in 0..<3 {
                let key = PlanCache.Key(text: Array(text.utf8), scope: .init(schema: UInt64(scope)))
                let plan = try cache.plan(key, variables: ["p": .string("p\(number)")], identity: [:], planner: QueryPlanner(api)) {
                    operation
                }
                #expect(plan.description.contains("p\(number)"))
            }
        }
        #expect(cache.weight <= 100_000)
        #expect(cache.misses == 600)
    }
}

@Suite("limits of plans")
struct PlanLimitTests {
    static func refusal(
        _ text: String, _ engine: SQLEngine = .postgreSQL, variables: JSONObject = [:], _ change: (inout PlanLimits) -> Void
    ) throws -> GraphQLError? {
        var limits = PlanLimits()
        change(&limits)
        do {
            _ = try Store.plan(text, over: try Store.api(engine), variables: variables, limits: limits)
            return nil
        } catch let error as GraphQLError {
            return error
        }
    }

    @Test("more than a limit is refused with the field, the limit and what to do")
    func refused() throws {
        let text = "{ pg_store { products(filter: {id: {in: [1, 2]}, name: {eq: \"a\"}}) { id name price } } }"
        #expect(try Self.refusal(text) { _ in } == nil)
        for change: (inout PlanLimits) -> Void in [{ $0.columns = 2 }, { $0.parameters = 1 }, { $0.textBytes = 50 }, { $0.statements = 0 }]
        {
            let error = try #require(try Self.refusal(text, .postgreSQL, change))
            #expect(error.message.contains("limit"))
            #expect(error.path == [.key("pg_store"), .key("products")])
        }
    }

    @Test("conditions inside each other", arguments: [SQLEngine.postgreSQL, .sqlite])
    func depth(_ engine: SQLEngine) throws {
        func text(_ depth: Int) -> String {
            let open = String(repeating: "_not: {", count: depth)
            return "{ pg_store { products(filter: {\(open)id: {eq: 1}\(String(repeating: "}", count: depth))}) { id } } }"
        }
        #expect(try Self.refusal(text(20), engine) { _ in } == nil)
        #expect(try Self.refusal(text(30), engine) { _ in }?.message.contains("24 levels") == true)
    }

    @Test("a plan of many fields and conditions takes time in proportion to them")
    func linear() throws {
        // What took the square of it would not end in a test's time.
        let fields = (0..<1000).map { "a\($0): name" }.joined(separator: " ")
        let conditions = (0..<1500).map { "{id: {eq: \($0)}}" }.joined(separator: " ")
        let plan = try Store.plan(
            "{ pg_store { products(filter: {_or: [\(conditions)]}) { \(fields) } } }", over: try Store.api(),
            limits: PlanLimits())
        #expect(plan.statements[0].sql.parameters.count == 1500)
    }

    @Test("names longer than 63 bytes stay apart")
    func longNames() throws {
        let long = String(repeating: "x", count: 70)
        let schema = """
            type t @table(name: "t") {
              id: Int! @pk
              \(long)a: Int @sql(exp: "id + 1")
              \(long)b: Int @sql(exp: "id + 2")
            }
            """
        let api = try Store.api(more: ["extra": schema])
        let plan = try Store.plan("{ extra { t { \(long)a \(long)b } } }", over: api)
        let names = plan.statements[0].sql.text.split(separator: "\"").filter { $0.hasPrefix("=") }
        #expect(Set(names).count == 2)
        #expect(names.allSatisfy { $0.utf8.count <= 63 })
    }
}
