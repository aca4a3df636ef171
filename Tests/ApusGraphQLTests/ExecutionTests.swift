import ApusGraphQL
import ApusTypes
import Testing

@Suite("GraphQL: execution")
struct ExecutionTests {
    static let schema: GraphQLSchema = {
        do {
            return try GraphQLSchema(
                building: """
                    type Query { user(id: ID!, n: Int = 3): User users: [User!] list: [Int]! fails: String failsHard: String! pet: Pet }
                    type User { id: ID! name: String friend: User! kind: Kind }
                    enum Kind { HUMAN ROBOT } interface Pet { name: String! } type Cat implements Pet { name: String! lives: Int }
                    type Dog implements Pet { name: String! }
                    """)
        } catch { preconditionFailure("\(error)") }
    }()

    /// Answers from JSON; the string "!" is an error.
    struct Tree: ObjectResolver {
        var value: JSONValue
        var typeName: String { value["__typename"]?.asString ?? "" }

        func resolve(_ field: FieldRequest) async throws -> ResolvedValue {
            if field.name == "user" { return .leafless(value["user"] ?? .null, field.arguments) }
            return try Self.resolved(value[field.name] ?? .null)
        }

        static func resolved(_ value: JSONValue) throws -> ResolvedValue {
            switch value {
            case "!": throw ApusError(.forbidden, "not allowed")
            case .array(let elements): .list(try elements.map(resolved))
            case .object: .object(Tree(value: value))
            default: .leaf(value)
            }
        }
    }

    private func response(_ text: String, _ data: JSONValue, _ variables: JSONObject = [:]) async throws -> JSONValue {
        let document = try GraphQLDocument(parsing: text)
        #expect(Self.schema.problems(with: document) == [])
        let operation = try PreparedOperation(document, schema: Self.schema)
        let response = await Executor.response(to: operation, variables: variables, root: Tree(value: data))
        return try JSONValue(parsing: response.serialized())
    }

    @Test("keys come in request order, fragments merged, conditions applied, aliases kept")
    func order() async throws {
        let text = """
            query($yes: Boolean!) {
              list ...F u: user(id: 7) { name @skip(if: $yes) id } pet { ... on Cat { lives } name __typename }
              hidden: list @include(if: false)
            }
            fragment F on Query { users { id } u: user(id: 7) { kind } }
            """
        let data: JSONValue = [
            "list": [1, nil], "users": [["id": 1]], "user": ["kind": "ROBOT"], "pet": ["__typename": "Cat", "lives": 9, "name": "Tom"],
        ]
        let answer = try await response(text, data, ["yes": true])
        #expect(
            answer.description
                == #"{"data":{"list":[1,null],"users":[{"id":"1"}],"u":{"kind":"ROBOT","id":"7/3"},"pet":{"lives":9,"name":"Tom","__typename":"Cat"}}}"#
        )
    }

    @Test(
        "a null that may not be moves up to what may",
        arguments: [
            ("{ user(id: 1) { name friend { id } } list }", #"{"data":{"user":null,"list":[2]}"#),
            ("{ users { id friend { name } } list }", #""data":{"users":null,"list":[2]}"#),
            ("{ fails list }", #""data":{"fails":null,"list":[2]}"#), ("{ list failsHard }", #""data":null"#),
        ])
    func nulls(text: String, data: String) async throws {
        let tree: JSONValue = [
            "user": ["name": "A", "friend": nil], "users": [["id": 1, "friend": nil]], "list": [2], "fails": "!", "failsHard": "!",
        ]
        let answer = try await response(text, tree).description
        #expect(answer.contains(data.replacing("{\"data\"", with: "\"data\"")), "\(answer)")
        #expect(answer.hasPrefix(#"{"errors":[{"message":"#))
    }

    @Test("an error says where it is, and of an unknown one nothing is told")
    func errors() async throws {
        let answer = try await response("{ users { id\n name } }", ["users": [["id": 1, "name": "!"]]])
        #expect(answer["data"]?["users"] == [["id": "1", "name": nil]])
        #expect(
            answer["errors"] == [
                [
                    "message": "not allowed", "locations": [["line": 2, "column": 2]], "path": ["users", 0, "name"],
                    "extensions": ["code": "auth.forbidden"],
                ]
            ])
        let missing = try await response("query($i: ID!) { user(id: $i) { id } }", [:])
        #expect(
            missing == [
                "errors": [
                    ["message": "Variable \"$i\" of required type \"ID!\" was not provided.", "locations": [["line": 1, "column": 7]]]
                ]
            ])
    }

    @Test("the introspection query tells the schema, and __type of nothing is null")
    func introspection() async throws {
        let answer = try await response(Introspection.query, [:])
        let types = answer["data"]?["__schema"]?["types"]?.asArray ?? []
        #expect(types.count == 6 + 4 + 8 && types.first?["name"] == "Query")
        let user = try #require(types.first?["fields"]?.asArray?.first)
        #expect(user["args"]?.asArray?.last?["defaultValue"] == "3")
        #expect(
            user["args"]?.asArray?.first?["type"] == [
                "kind": "NON_NULL", "name": nil, "ofType": ["kind": "SCALAR", "name": "ID", "ofType": nil],
            ])
        let one = try await response(
            "{ a: __type(name: \"Pet\") { possibleTypes { name } fields { type { kind } } } b: __type(name: \"No\") { name } }", [:])
        #expect(
            one["data"] == [
                "a": ["possibleTypes": [["name": "Cat"], ["name": "Dog"]], "fields": [["type": ["kind": "NON_NULL"]]]], "b": nil,
            ])
    }

    @Test("an operation beyond a limit is refused before anything runs")
    func limits() throws {
        func refusal(_ text: String, _ limits: OperationLimits) throws -> String? {
            do throws(GraphQLErrors) {
                _ = try PreparedOperation(try! GraphQLDocument(parsing: text), schema: Self.schema, limits: limits)
                return nil
            } catch { return error.errors.first?.message }
        }
        let deep = "{ user(id: 1) { ...F } } fragment F on User { friend { friend { id } } }"
        #expect(try refusal(deep, OperationLimits(depth: 4)) == nil)
        #expect(try refusal(deep, OperationLimits(depth: 3)) == "Operation has depth 4, which exceeds the limit of 3.")
        let wide =
            "{ ...F0 }" + (0..<60).map { "fragment F\($0) on Query { ...F\($0 + 1) a\($0): users { id } ...F\($0 + 1) }" }.joined()
            + "fragment F60 on Query { list }"
        #expect(try refusal(wide, OperationLimits(fields: 1000))?.hasPrefix("Operation has ") == true)
        let document = try GraphQLDocument(parsing: "{ users { id friend { id } } }")
        let size = OperationSize(of: try document.operation(named: nil), in: document) { node in
            document.responseKey(of: node) == "users" ? .init(cost: 5, times: 100) : .init()
        }
        #expect(size.cost == 5 + 100 * 3 && size.fields == 4 && size.depth == 3)
    }
}

extension ResolvedValue {
    /// A user whose id shows the arguments that it was asked with; nothing for null.
    fileprivate static func leafless(_ value: JSONValue, _ arguments: JSONObject) -> ResolvedValue {
        guard var object = value.asObject else { return .null }
        object["id"] = .string("\(arguments["id"]?.asString ?? "?")/\(arguments["n"]?.description ?? "?")")
        return .object(ExecutionTests.Tree(value: .object(object)))
    }
}
