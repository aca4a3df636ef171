internal import ApusGraphQL
internal import ApusTypes
internal import Glibc

/// `apus graphql`: looks at texts in GraphQL and in its schema language, without a node.
enum GraphQLCommand {
    static let command: Command = Command(
        name: "graphql", summary: "Parse, print and check GraphQL texts.",
        discussion: "Works on files alone: nothing is asked of a node. A FILE that is missing, or '-', is standard input.",
        subcommands: [parse, print, validate, build, serve])

    private static let file = Argument(
        name: "FILE", help: "A GraphQL text; standard input without it.", isRequired: false, values: .file(["graphql"]))
    private static let schema = Option.value("schema", "FILE", .file(["graphql"]), "The schema, in the schema definition language.")
    private static let minify = Option.flag("minify", "As short as it goes, without comments.")
    private static let directives = Option.flag("directives", "Print the directives that the text applies, too.")
    private static let base = Option.value(
        "base", "FILE", .file(["graphql"]), "A schema that the text extends: what declares its directives and scalars.")
    private static let query = Option.value("query", "FILE", .file(["graphql"]), "Print the answer to this introspection query instead.")

    private static let parse: Command = Command(
        name: "parse", summary: "Parse a text, and say where it is wrong.", arguments: [file],
        examples: [
            .init("apus graphql parse query.graphql", "silent when all is well, exit code 65 with line and column when not"),
            .init("apus graphql parse query.graphql --json", "the syntax tree"),
        ],
        run: { invocation in
            try await report(invocation) {
                let document = try GraphQLDocument(parsing: try text(invocation, at: 0), limits: .schema)
                return invocation.answer(
                    ["tree": GraphQLTree(document: document).json], "\(Array(document.definitions).count) definitions")
            }
        })

    private static let print: Command = Command(
        name: "print", summary: "Print a text in its usual layout.", arguments: [file], options: [minify],
        examples: [.init("apus graphql print query.graphql --minify", "what a client might send")],
        run: { invocation in
            try await report(invocation) {
                let text = try text(invocation, at: 0)
                let document = try GraphQLDocument(parsing: text, limits: .schema)
                let printed = try invocation.isSet(minify) ? SourceText(text).strippedOfIgnored() : document.printed()
                return invocation.answer(["text": .string(printed)], printed)
            }
        })

    private static let validate: Command = Command(
        name: "validate", summary: "Check operations against a schema.",
        discussion: "The rules of the specification, with the messages of graphql-js. The exit code is 65 when there are errors.",
        arguments: [file], options: [schema],
        examples: [.init("apus graphql validate query.graphql --schema schema.graphql", "in a build")],
        run: { invocation in
            try await report(invocation) {
                guard let path = invocation.text(schema) else {
                    throw ApusError(.usage, "--schema is missing", hint: "apus graphql validate QUERY --schema SCHEMA")
                }
                let schema = try validSchema(FileContents.read(path, limit: .mebibytes(64)))
                let document = try GraphQLDocument(parsing: try text(invocation, at: 0), limits: .schema)
                let problems = schema.problems(with: document)
                if !problems.isEmpty { throw GraphQLErrors(problems) }
                return invocation.answer(["valid": true], "valid")
            }
        })

    private static let build: Command = Command(
        name: "build", summary: "Build a schema, and print it.",
        discussion: "Says everything that is wrong with the text, and with the types in it. The exit code is 65 when there are errors.",
        arguments: [file], options: [base, directives, query],
        examples: [
            .init("apus graphql build schema.graphql", "the schema as tools see it"),
            .init("apus graphql build source.graphql --base directives.graphql --directives", "a text that needs another"),
            .init("apus graphql build schema.graphql --query introspection.graphql", "what a client is told"),
        ],
        run: { invocation in
            try await report(invocation) {
                let schema = try validSchema(try text(invocation, at: 0), extending: invocation.text(base))
                if let path = invocation.text(query) {
                    let response = try await introspect(schema, FileContents.read(path, limit: .mebibytes(1)))
                    return invocation.answer(["response": try JSONValue(parsing: response)], String(decoding: response, as: UTF8.self))
                }
                let text = schema.printed(directives: invocation.isSet(directives))
                return invocation.answer(["text": .string(text)], text)
            }
        })

    private static let serve: Command = Command(
        name: "serve", summary: "Answer one JSON question a line, for test suites.",
        discussion: """
            Reads questions from standard input and writes one line of JSON for each, until the input ends. Test suites drive the library \
            through it; its questions may change with any version.
            """,
        examples: [.init(#"echo '{"do": "print", "text": "{a}"}' | apus graphql serve"#, "one question")],
        hasResult: false,
        run: { invocation in
            var questions = GraphQLQuestion()
            while let line = readLine() { invocation.printJSON(questions.answer(Array(line.utf8))) }
            return .success
        })

    // MARK: Pieces

    private static func text(_ invocation: Invocation, at index: Int) throws(ApusError) -> [UInt8] {
        let path = invocation.argument(index) ?? "-"
        return try FileContents.read(path == "-" ? "/dev/stdin" : path, limit: .mebibytes(64))
    }

    private static func validSchema(_ text: [UInt8], extending base: String? = nil) throws -> GraphQLSchema {
        let document = try GraphQLDocument(parsing: text, limits: .schema)
        let schema: GraphQLSchema
        if let base {
            let declared = try GraphQLDocument(parsing: FileContents.read(base, limit: .mebibytes(64)), limits: .schema)
            schema = try GraphQLSchema(building: declared).extended(by: document)
        } else {
            schema = try GraphQLSchema(building: document)
        }
        let problems = schema.problems()
        if !problems.isEmpty { throw GraphQLErrors(problems) }
        return schema
    }

    private static func introspect(_ schema: GraphQLSchema, _ text: [UInt8]) async throws -> [UInt8] {
        let document = try GraphQLDocument(parsing: text)
        let problems = schema.problems(with: document)
        if !problems.isEmpty { throw GraphQLErrors(problems) }
        let operation = try PreparedOperation(document, schema: schema)
        return await Executor.response(to: operation, variables: [:], root: NothingResolved()).serialized()
    }

    /// Only introspection is answered without a service behind the schema.
    private struct NothingResolved: ObjectResolver {
        var typeName: String { "" }
        func resolve(_ field: FieldRequest) async throws -> ResolvedValue { .null }
    }

    /// GraphQL's errors as lines with their places, or as JSON, and exit code 65.
    private static func report(
        _ invocation: Invocation, _ body: () async throws -> ErrorCode.ExitCode
    ) async throws -> ErrorCode.ExitCode {
        let errors: [GraphQLError]
        do {
            return try await body()
        } catch let error as GraphQLError {
            errors = [error]
        } catch let error as GraphQLErrors {
            errors = error.errors
        }
        if invocation.wantsJSON {
            invocation.printJSON(["errors": try JSONValue(parsing: serialized(errors))])
        } else {
            for error in errors {
                let place = error.locations.first.map { "\(invocation.argument(0) ?? "-"):\($0.line):\($0.column): " } ?? ""
                invocation.terminal.note(place + error.message)
            }
        }
        return .badInput
    }

    private static func serialized(_ errors: [GraphQLError]) -> [UInt8] {
        var writer = JSONWriter()
        writer.array { for error in errors { error.write(to: &$0) } }
        return writer.bytes
    }
}
