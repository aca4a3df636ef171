import ApusTypes
import Testing

@testable import ApusSchemas

@Suite("schemas of OpenAPI")
struct OpenAPITests {
    static let store = """
        {"openapi": "3.0.3", "info": {"title": "store", "version": "1"},
         "servers": [{"url": "https://{host}/v1", "variables": {"host": {"default": "api.example"}}}],
         "paths": {
           "/pets": {
             "get": {"operationId": "listPets", "summary": "All pets", "parameters": [
                {"name": "limit", "in": "query", "schema": {"type": "integer", "format": "int32"}},
                {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                {"name": "X-Request-ID", "in": "header", "required": true, "schema": {"type": "string"}},
                {"name": "session", "in": "cookie", "schema": {"type": "string"}}],
              "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}}}}}},
             "post": {"operationId": "createPet", "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewPet"}}}},
              "responses": {"201": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}}}},
           "/pets/{petId}": {
             "parameters": [{"$ref": "#/components/parameters/PetID"}],
             "get": {"operationId": "showPetById", "responses": {"default": {"description": "", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}}},
             "put": {"operationId": "replacePet", "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewPet"}}}},
              "responses": {"204": {"description": "done"}}}},
           "/it's": {"get": {"responses": {"200": {"description": "", "content": {"text/plain": {}}}}}},
           "/search": {"post": {"x-apus-query": true, "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {"text-part": {"type": "string"}, "most": {"type": "number"}}, "required": ["text-part"]}}}},
              "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object", "additionalProperties": true}}}}}}},
           "/photos": {"post": {"operationId": "upload", "requestBody": {"content": {"multipart/form-data": {}}}, "responses": {"200": {"description": ""}}}}
         },
         "components": {
           "parameters": {"PetID": {"name": "petId", "in": "path", "required": true, "schema": {"type": "integer", "format": "int64"}}},
           "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
           "schemas": {
             "NewPet": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "description": "What it \\"hears\\" to"}, "kind": {"type": "string", "enum": ["cat", "dog"]}, "parent": {"$ref": "#/components/schemas/NewPet"}}},
             "Pet": {"allOf": [{"$ref": "#/components/schemas/NewPet"}, {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer", "format": "int64"}, "size-cm": {"type": ["number", "null"]}, "owner": {"type": "object", "properties": {"name": {"type": "string"}, "pets": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}}}, "any": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}}]}
           }}}
        """

    @Test("operations are functions, schemas types, with Hugr's names")
    func store() throws {
        let description = try OpenAPIDescription(try JSONValue(parsing: Array(Self.store.utf8)))
        #expect(description.server == "https://api.example/v1")
        #expect(description.securitySchemes["key"]?["name"] == "X-Key")
        let request = { (call: String) in "sql: \"http_data_source_request_scalar([$catalog], \(call), '')\")\n" }
        #expect(
            description.text == """
                # POST /photos is left out: its body is no JSON
                type Pet {
                  any: JSON
                  id: BigInt!
                  kind: String
                  "What it \\"hears\\" to"
                  name: String!
                  owner: Pet_owner
                  parent: NewPet
                  size_cm: Float @field_source(field: "size-cm")
                }
                type Pet_owner {
                  name: String
                  pets: [Pet]
                }
                type NewPet {
                  kind: String
                  "What it \\"hears\\" to"
                  name: String!
                  parent: NewPet
                }
                input NewPetInput {
                  kind: String
                  "What it \\"hears\\" to"
                  name: String!
                  parent: NewPetInput
                }
                extend type Function {
                  itXs: String @function(name: "itXs", json_cast: true, \(request("'/it''s', 'GET', '{}'::JSON, '{}'::JSON, '{}'::JSON"))\
                  "All pets"
                  list_petsGET(limit: Int, tag: [String], X_Request_ID: String!): [Pet] @function(name: "list_petsGET", json_cast: true, \(request("'/pets', 'GET', {'X-Request-ID': [X_Request_ID]}::JSON, {'limit': [limit], 'tag': [tag]}::JSON, '{}'::JSON"))\
                  show_pet_by_idGET(petId: BigInt!): Pet @function(name: "show_pet_by_idGET", json_cast: true, \(request("'/pets/' || [petId] || '', 'GET', '{}'::JSON, '{}'::JSON, '{}'::JSON"))\
                  search(most: Float, text_part: String!): JSON @function(name: "search", json_cast: true, \(request("'/search', 'POST', '{}'::JSON, '{}'::JSON, {'most': [most], 'text-part': [text_part]}::JSON"))\
                }
                extend type MutationFunction {
                  create_petPOST(kind: String, name: String!, parent: NewPetInput): Pet @function(name: "create_petPOST", json_cast: true, \(request("'/pets', 'POST', '{}'::JSON, '{}'::JSON, {'kind': [kind], 'name': [name], 'parent': [parent]}::JSON"))\
                  replace_petPUT(petId: BigInt!, request_body: NewPetInput!): JSON @function(name: "replace_petPUT", json_cast: true, \(request("'/pets/' || [petId] || '', 'PUT', '{}'::JSON, '{}'::JSON, [request_body]"))\
                }

                """)
        let source = SourceDescription(name: "store", kind: .http, prefix: "store", isModule: true)
        let schema = try SchemaReader.read([SchemaFile(name: "store", text: description.text)], of: source)
        #expect(schema.functions.count == 6 && schema.structures.map(\.name) == ["store_Pet", "store_Pet_owner", "store_NewPet"])
    }

    private static func paths(_ paths: String, schemas: String = "{}") -> String {
        #"{"openapi": "3.1.0", "paths": \#(paths), "components": {"schemas": \#(schemas)}}"#
    }

    private static func get(_ schema: String) -> String {
        #"{"/a": {"get": {"responses": {"200": {"content": {"application/json": {"schema": \#(schema)}}}}}}}"#
    }

    @Test(
        "what cannot be meant is refused, with its operation",
        arguments: [
            (#"{"swagger": "2.0", "paths": {}}"#, "Swagger 2.0"), ("[]", "no version"),
            (paths(get(##"{"$ref": "other.yaml#/Pet"}"##)), "GET /a: \"other.yaml#/Pet\" is not in the specification"),
            (paths(get(##"{"$ref": "http://127.0.0.1/x"}"##)), "is not in the specification"),
            (paths(get(##"{"$ref": "file:///etc/passwd"}"##)), "is not in the specification"),
            (paths(get(##"{"$ref": "#/components/schemas/None"}"##)), "GET /a: there is no"),
            (
                paths(
                    get(##"{"$ref": "#/components/schemas/A"}"##),
                    schemas: ##"{"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}"##), "refers to itself"
            ),
            (
                paths(get(##"{"$ref": "#/components/schemas/A"}"##), schemas: ##"{"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}}"##),
                "allOf is nested deeper"
            ),
            (
                paths(get(String(repeating: #"{"type": "array", "items": "#, count: 40) + "{}" + String(repeating: "}", count: 40))),
                "nested deeper than 32"
            ),
            (paths(#"{"/a/{x}": {"get": {"responses": {"200": {}}}}}"#), "GET /a/{x}: nothing is said about \"{x}\""),
            (paths(#"{"/a": {"get": {"parameters": [{"name": "x", "in": "path"}], "responses": {"200": {}}}}}"#), "no place for \"x\""),
            (
                paths(#"{"/a-b": {"get": {"responses": {"200": {}}}}, "/a.b": {"get": {"responses": {"200": {}}}}}"#),
                "are both called \"a_b\""
            ),
            (
                paths("{" + (0...1000).map { #""/p\#($0)": {"get": {"responses": {"200": {}}}}"# }.joined(separator: ",") + "}"),
                "more than 1000 operations"
            ),
        ])
    func hostile(text: String, message: String) throws {
        let value = try JSONValue(parsing: Array(text.utf8), maxDepth: 200)
        let problem = #expect(throws: OpenAPIDescription.Problem.self) { _ = try OpenAPIDescription(value) }
        #expect(problem?.message.contains(message) == true, "\(problem?.message ?? "")")
    }

    @Test("texts of a specification cannot become part of the schema")
    func injection() throws {
        let text = Self.paths(
            ##"{"/a'); x: String @function(name: \"y\")\n#": {"get": {"operationId": "a\"b", "description": "\"\"\" } type Evil { a: Int } \n", "parameters": [{"name": "p'] || [$auth.role] || ['", "in": "query", "schema": {"type": "string"}}], "responses": {"200": {"content": {"application/json": {"schema": {"type": "object", "properties": {"f\"} type Evil2 {": {"type": "string"}}}}}}}}}}"##
        )
        let description = try OpenAPIDescription(try JSONValue(parsing: Array(text.utf8)))
        let schema = try SchemaReader.read(
            [SchemaFile(name: "s", text: description.text)], of: SourceDescription(name: "s", kind: .http))
        #expect(schema.structures.count == 1 && schema.functions.count == 1)
        #expect(schema.functions[0].parameters.map(\.name) == ["p________auth_role_______"])
        #expect(schema.functions[0].request?.path == .value("/a'); x: String @function(name: \"y\")\n#"))
    }
}
