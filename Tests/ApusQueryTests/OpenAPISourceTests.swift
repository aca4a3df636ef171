import ApusHTTP
import ApusRuntime
import ApusSchemas
import ApusTypes
import Foundation
import HTTPTestKit
import TestKit
import Testing

@testable import ApusQuery

/// Servers over HTTP that describe themselves, with a real one.
@Suite("sources of OpenAPI")
struct OpenAPISourceTests {
    private static let specification = """
        openapi: 3.0.3
        info: {title: Petstore, version: 1.0.0}
        servers:
          - url: /v1   # below the server that the specification is from
        paths:
          /pets:
            get:
              operationId: listPets
              parameters:
                - {name: limit, in: query, schema: {type: integer}}
                - {name: X-Trace, in: header, schema: {type: string}}
              responses:
                '200':
                  content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Pet'}}}}
            post:
              operationId: createPet
              requestBody:
                content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}
              responses:
                '201': {content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
          /pets/{petId}:
            parameters:
              - {name: petId, in: path, required: true, schema: {type: string}}
            get:
              operationId: showPetById
              responses:
                '200': {content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
                '404': {description: none}
            patch:
              operationId: changePet
              requestBody:
                content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}
              responses: {'204': {description: done}}
        components:
          securitySchemes:
            key: {type: apiKey, in: header, name: X-Key}
          schemas:
            Pet:
              required: [name]
              properties:
                id: {type: integer, format: int64}
                name: {type: string}
                tag-list: {type: array, items: {type: string}}
                parent: {$ref: '#/components/schemas/Pet'}
        """

    private static func routes(_ router: inout Router, _ seen: HTTPSourceTests.Seen) {
        @Sendable func note(_ request: Request, _ more: String = "") {
            let fields = ["X-Key", "X-Trace"].compactMap { name in request.headers[name].map { " \(name)=\($0)" } }
            seen.add("\(request.method.rawValue) \(request.rawPath) \(PercentEncoding.query(request.query.items))\(fields.joined())\(more)")
        }
        router.on(.get, "/spec/store.yaml") { _ in Response(type: "application/yaml", bytes: Array(specification.utf8)) }
        router.on(.get, "/spec/broken.yaml") { _ in Response(type: "application/yaml", bytes: Array("a: [1".utf8)) }
        router.on(.get, "/spec/bomb.yaml") { _ in
            let levels = (1...9).map { "l\($0): &l\($0) [\(Array(repeating: "*l\($0 - 1)", count: 9).joined(separator: ", "))]" }
            return Response(type: "application/yaml", bytes: Array(("openapi: 3.0.0\nl0: &l0 lol\n" + levels.joined(separator: "\n")).utf8))
        }
        router.on(.get, "/spec/outside.json") { _ in
            .json(Array(##"{"openapi":"3.0.0","paths":{"/a":{"get":{"responses":{"200":{"$ref":"http://169.254.169.254/x"}}}}}}"##.utf8))
        }
        router.on(.get, "/v1/pets") { request in
            note(request)
            return .json(Array(#"[{"id": 9007199254740993, "name": "Rex", "tag-list": ["a"], "parent": {"name": "Old"}}]"#.utf8))
        }
        router.on(.post, "/v1/pets") { request in
            let body = try await request.body.collect(limit: .mebibytes(1))
            note(request, " " + String(decoding: body, as: UTF8.self))
            return .json(body, status: 201)
        }
        router.on(.get, "/v1/pets/{id}") { request in
            note(request)
            return .json(Array(#"{"id": 1}"#.utf8))
        }
        router.on(.patch, "/v1/pets/{id}") { request in
            note(request, " " + String(decoding: try await request.body.collect(limit: .mebibytes(1)), as: UTF8.self))
            return Response(status: 204)
        }
    }

    private static func definition(_ port: Int, _ specification: String) -> SourceDefinition {
        let security = PercentEncoding.encoded(#"{"schema_name":"key","api_key":"s3cret"}"#)
        var definition = SourceDefinition(
            "store", kind: .http, path: "?x-hugr-spec-url=http://127.0.0.1:\(port)/spec/\(specification)&x-hugr-security=\(security)")
        definition.isSelfDescribed = true
        return definition
    }

    @Test("operations are called as the specification says, in YAML, below its server, with the key that it names")
    func calls() async throws {
        let seen = HTTPSourceTests.Seen()
        try await TestServer.with(routes: { Self.routes(&$0, seen) }) { server in
            try await SourceLab.with([Self.definition(server.port, "store.yaml")]) { lab in
                #expect(
                    await lab.answer(
                        "{ function { list_petsGET(limit: 3, X_Trace: \"t 1\") { id name tag_list parent { name parent { id } } } } }")
                        == #"{"data":{"function":{"list_petsGET":[{"id":9007199254740993,"name":"Rex","tag_list":["a"],"parent":{"name":"Old","parent":null}}]}}}"#
                )
                #expect(
                    await lab.answer(
                        "mutation { function { create_petPOST(name: \"Ann\", tag_list: [\"x\"], parent: null) { name tag_list } } }")
                        == #"{"data":{"function":{"create_petPOST":{"name":"Ann","tag_list":["x"]}}}}"#)
                #expect(
                    await lab.answer("mutation { function { change_petPATCH(petId: \"a/b\", request_body: {name: \"B\"}) } }")
                        == #"{"data":{"function":{"change_petPATCH":null}}}"#)
                let missing = await lab.answer("{ function { show_pet_by_idGET(petId: \"7\") { id name } } }")
                #expect(missing.contains("show_pet_by_idGET") && missing.contains("errors"), "a required member is missing: \(missing)")
                #expect(
                    await lab.answer("{ function { create_petPOST(name: \"x\") { name } } }").contains("Cannot query field"),
                    "a POST is no query")
            }
            #expect(
                Array(seen.lines.prefix(3)) == [
                    "GET /v1/pets limit=3 X-Key=s3cret X-Trace=t 1",
                    #"POST /v1/pets  X-Key=s3cret {"name":"Ann","tag-list":["x"]}"#,
                    #"PATCH /v1/pets/a%2Fb  X-Key=s3cret {"name":"B"}"#,
                ])
        }
    }

    @Test("a specification in a file says where its server is, or the path does")
    func file() async throws {
        let directory = try TemporaryDirectory()
        let seen = HTTPSourceTests.Seen()
        try await TestServer.with(routes: { Self.routes(&$0, seen) }) { server in
            let text = Self.specification.replacing("url: /v1 ", with: "url: http://127.0.0.1:\(server.port)/v1 ")
            try Data(text.utf8).write(to: URL(fileURLWithPath: directory.path + "/store.yaml"))
            var definition = SourceDefinition("store", kind: .http, path: directory.path + "/store.yaml")
            definition.isSelfDescribed = true
            try await SourceLab.with([definition]) { lab in
                #expect(
                    await lab.answer("{ function { list_petsGET { name } } }")
                        == #"{"data":{"function":{"list_petsGET":[{"name":"Rex"}]}}}"#)
            }
            #expect(seen.lines == ["GET /v1/pets "])
        }
    }

    @Test(
        "what cannot be used is refused, and says what and where",
        arguments: [
            ("none.yaml", "404"), ("broken.yaml", "line"), ("bomb.yaml", "line"), ("outside.json", "GET /a"),
        ])
    func refused(name: String, message: String) async throws {
        let seen = HTTPSourceTests.Seen()
        try await TestServer.with(routes: { Self.routes(&$0, seen) }) { server in
            let opener = SourceOpener(loops: TestLoops.shared, environment: [:])
            let error = await #expect(throws: ApusError.self) { _ = try await opener.describe(Self.definition(server.port, name)) }
            #expect(
                error?.summary.contains("\"store\"") == true && error?.summary.contains(message) == true, "\(String(describing: error))")
        }
    }
}
