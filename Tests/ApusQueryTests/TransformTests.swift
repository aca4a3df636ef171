import ApusDatabase
import ApusHTTP
import ApusRuntime
import ApusSchemas
import ApusTypes
import Glibc
import HTTPTestKit
import TestKit
import Testing

@testable import ApusQuery

/// jq programs in real worker processes.
@Suite("jq")
struct TransformTests {
    static func workers(time: Duration = .seconds(20), workers: Int = 2) throws -> JQWorkers {
        var options = JQWorkers.Options(executable: try BuiltProgram.path("JQProcess"))
        options.time = time
        options.workers = workers
        return JQWorkers(loops: TestLoops.shared, options: options)
    }

    static func soon(_ time: Duration = .seconds(30)) -> Instant { BootClock.now.advanced(by: time) }

    private static func run(
        _ workers: JQWorkers, _ program: String, _ input: String = "{}", _ variables: JSONObject = [:]
    ) async throws -> String {
        String(decoding: try await workers.transform(program, Array(input.utf8), variables, soon()), as: UTF8.self)
    }

    @Test("a program's one output is the result, several are a list, none is null")
    func outputs() async throws {
        let workers = try Self.workers()
        defer { workers.close() }
        #expect(try await Self.run(workers, ".a | map(. + 1)", #"{"a":[1,2]}"#) == "[2,3]")
        #expect(try await Self.run(workers, ".[]", #"[1,"ü\n"]"#) == #"[1,"ü\n"]"#)
        #expect(try await Self.run(workers, "empty") == "null")
        #expect(try await Self.run(workers, "$x.y + .", "2", ["x": ["y": 5], "z": 1]) == "7")
        #expect(try await Self.run(workers, "$x.y + .", "2", ["x": ["y": 6]]) == "8")
        try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<20 { group.addTask { try await Self.run(workers, ". * 2", "\(number)") } }
            var results: Set<String> = []
            for try await result in group { results.insert(result) }
            #expect(results == Set((0..<20).map { "\($0 * 2)" }))
        }
    }

    @Test(
        "what is wrong with a program is told in jq's words",
        arguments: [
            (".a[", "cannot be compiled: syntax error"), ("$nope", "cannot be compiled: $nope is not defined"),
            ("error(\"boom\")", "failed: boom"), (".a.b", "failed: Cannot index number"), ("\"x\\u0000\" | error", "failed"),
            ("[range(1000000)]", "larger than a reply may be"),
        ])
    func errors(program: String, part: String) async throws {
        let workers = try Self.workers()
        defer { workers.close() }
        let error = await #expect(throws: ApusError.self) { try await Self.run(workers, program, #"{"a":1}"#) }
        #expect(error?.code == .requestInvalid && error?.summary.contains(part) == true, "\(error?.summary ?? "")")
        #expect(try await Self.run(workers, ".", "1") == "1")
    }

    @Test("a program has no files and no environment")
    func confined() async throws {
        let workers = try Self.workers()
        defer { workers.close() }
        let directory = try TemporaryDirectory()
        let file = try #require(fopen(directory.path + "/d.json", "w"))
        fputs("[1]", file)
        fclose(file)
        let module = "import \"d\" as $d {search: \"\(directory.path)\"}; $d"
        await #expect(throws: ApusError.self) { try await Self.run(workers, module) }
        #expect(try await Self.run(workers, "[env, $ENV]") == "[{},{}]")
        await #expect(throws: ApusError.self) { try await Self.run(workers, "input") }
    }

    @Test("a program without an end is stopped, one that takes all memory or all of the stack ends itself, and others go on")
    func bounded() async throws {
        let workers = try Self.workers(time: .milliseconds(300), workers: 1)
        defer { workers.close() }
        for (program, part) in [
            ("def f: f; f", "did not end in time"), ("last(range(1e15))", "did not end in time"),
            ("[limit(1e9; repeat(\"xxxxxxxxxxxxxxxx\"))] | length", "time"),
        ] {
            let error = await #expect(throws: ApusError.self) { try await Self.run(workers, program) }
            #expect(
                error?.summary.contains(part) == true || error?.summary.contains("memory") == true, "\(program): \(error?.summary ?? "")")
        }
        let patient = try Self.workers(workers: 1)
        defer { patient.close() }
        for program in ["def f: [f]; f", "reduce range(1e9) as $i (\"x\"; . + .)", "reduce range(1000000) as $i (null; [.])"] {
            let error = await #expect(throws: ApusError.self) { try await Self.run(patient, program) }
            #expect(error?.code == .requestInvalid, "\(program): \(error?.summary ?? "")")
        }
        #expect(try await Self.run(patient, ". + 1", "1") == "2")
    }

    @Test("a query inside jq is told as what the program makes of it; the origin stays when it is asked for")
    func fields() async throws {
        let workers = try Self.workers()
        defer { workers.close() }
        let directory = try TemporaryDirectory()
        let definition = try await SourceLab.sqlite(
            "local", in: directory,
            ["CREATE TABLE items (id integer PRIMARY KEY, name text)", "INSERT INTO items VALUES (1, 'a'), (2, 'b')"],
            schema: "type items @table(name: \"items\") { id: Int! @pk name: String }")
        var options = SourceOpener.Options()
        options.transform = workers.transform
        try await SourceLab.with([definition], options: options) { lab in
            let query = "{ items(order_by: [{field: \"id\"}]) { id name } }"
            #expect(
                await lab.answer("{ jq(query: \".items | map(.name)\") \(query) }")
                    == #"{"data":{"jq":null},"extensions":{"jq":{"jq":["a","b"]}}}"#)
            #expect(
                await lab.answer(
                    "query($n: Int = 1, $p: String!) { __typename names: jq(query: $p, include_origin: true) { items(order_by: [{field: \"id\"}], filter: {id: {gte: $n}}) { id name } } }",
                    ["p": ".items[$n].name"])
                    == #"{"data":{"__typename":"Query","names":{"items":[{"id":1,"name":"a"},{"id":2,"name":"b"}]}},"extensions":{"names":{"jq":"b"}}}"#
            )
            let wrong = await lab.answer("{ a: jq(query: \".[\") \(query) }")
            #expect(
                wrong.hasPrefix(#"{"errors":[{"message":"the jq program cannot be compiled"#) && wrong.contains(#""path":["a"]"#),
                "\(wrong)")
            let inside = await lab.answer("{ jq(query: \".\") { jq(query: \".\") \(query) } }")
            #expect(inside.contains("jq cannot stand inside jq"), "\(inside)")
            // A program over the variables.
            let variables: JSONObject = ["_jq": "{id: (.first + 1)}", "first": 1]
            #expect(
                await lab.answer("query($id: Int) { items(filter: {id: {eq: $id}}) { name } }", variables)
                    == #"{"data":{"items":[{"name":"b"}]}}"#)
            #expect(await lab.answer("{ items { id } }", ["_jq": "1"]).contains("makes no object"))
        }
        try await SourceLab.with([definition]) { lab in
            #expect(await lab.answer("{ jq(query: \".\") { items { id } } }").contains("this node has no jq"))
        }
        withExtendedLifetime(directory) {}
    }

    @Test("a function over HTTP tells what its program makes of the reply")
    func functions() async throws {
        let workers = try Self.workers()
        defer { workers.close() }
        try await TestServer.with(routes: { router in
            router.on(.get, "/list") { _ in .json(Array(#"{"items":[{"id":1,"size":5},{"id":2,"size":7}]}"#.utf8)) }
        }) { server in
            var definition = SourceDefinition("rest", kind: .http, path: "http://127.0.0.1:\(server.port)")
            definition.files = [
                SchemaFile(
                    name: "rest",
                    text: """
                        type item { id: Int! }
                        extend type Function {
                          larger(than: Int!): [item] @function(name: "l", sql: "http_data_source_request_scalar([$catalog], '/list', 'GET', {}, {}, {}, '[.items[] | select(.size > $than)]')")
                        }
                        """)
            ]
            var options = SourceOpener.Options()
            options.transform = workers.transform
            try await SourceLab.with([definition], options: options) { lab in
                #expect(await lab.answer("{ function { larger(than: 6) { id } } }") == #"{"data":{"function":{"larger":[{"id":2}]}}}"#)
            }
        }
    }
}
