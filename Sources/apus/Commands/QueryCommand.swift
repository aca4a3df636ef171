internal import ApusGraphQL
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// `apus query`: looks at what the query service would do, without a node and without a database.
enum QueryCommand {
    static let command: Command = Command(
        name: "query", summary: "Data sources of the cluster, generated APIs, and query plans.",
        discussion: "'explain', and 'schema' with --sdl, work on files alone. A FILE that is '-' is standard input.",
        subcommands: [explain, schema, slow, source])

    private static let schemaFile = Option.value("sdl", "FILE", .file(["graphql"]), "The data source's schema, in the dialect's SDL.")
    private static let engine = Option.value(
        "engine", "ENGINE", .choice(SQLEngine.allCases.map(\.rawValue)), "What the data source speaks; default postgres.")
    private static let name = Option.value(
        "name", "NAME", "The data source's name, prefix and module; without it everything is at the root.")
    private static let variables = Option.value("variables", "JSON", "The operation's variables.")

    private static let explain: Command = Command(
        name: "explain", summary: "Show the SQL of an operation, and where its columns go.",
        discussion: "Parameters are listed below each statement; 'batch' are statements that are run with keys of the one above.",
        arguments: [Argument(name: "FILE", help: "The operation.", values: .file(["graphql"]))],
        options: [schemaFile, engine, name, variables],
        examples: [
            .init("apus query explain query.graphql --sdl shop.graphql", "over PostgreSQL"),
            .init(
                #"apus query explain query.graphql --sdl shop.graphql --engine sqlite --name shop --variables '{"id": 1}'"#,
                "a source as it is registered"),
        ],
        run: { invocation in
            try await report(invocation) {
                let api = try api(invocation)
                let document = try GraphQLDocument(parsing: try FileContents.read(path(invocation), limit: .mebibytes(1)))
                let problems = api.schema.problems(with: document)
                if !problems.isEmpty { throw GraphQLErrors(problems) }
                let operation = try PreparedOperation(document, schema: api.schema)
                let given = try JSONValue(parsing: Array((invocation.text(variables) ?? "{}").utf8)).asObject ?? [:]
                let plan = try QueryPlanner(api).plan(operation, variables: try operation.variables(from: given))
                return invocation.answer(["plan": .string(plan.description)], String(plan.description.dropLast()))
            }
        })

    private static let schema: Command = Command(
        name: "schema", summary: "Show the API that is generated from a data source's schema.", options: [schemaFile, engine, name],
        examples: [.init("apus query schema --sdl shop.graphql --name shop", "what a client is told")],
        subcommands: schemaVersions,
        run: { invocation in
            try await report(invocation) {
                let text = try api(invocation).schema.printed()
                return invocation.answer(["text": .string(text)], text)
            }
        })

    // MARK: Pieces

    private static func path(_ invocation: Invocation) throws(ApusError) -> String {
        let path = try invocation.required(0)
        return path == "-" ? "/dev/stdin" : path
    }

    private static func api(_ invocation: Invocation) throws -> DataAPI {
        guard let path = invocation.text(schemaFile) else {
            throw ApusError(.usage, "--sdl is missing", hint: "apus query explain QUERY --sdl SCHEMA")
        }
        let text = String(decoding: try FileContents.read(path, limit: .mebibytes(64)), as: UTF8.self)
        let source = SourceDescription(
            name: invocation.text(name) ?? "source",
            kind: .database(invocation.text(engine).flatMap { SQLEngine(rawValue: $0) } ?? .postgreSQL),
            prefix: invocation.text(name) ?? "", isModule: invocation.text(name) != nil)
        let schema = try SchemaReader.read([SchemaFile(name: path, text: text)], of: source)
        return try DataAPI(of: try DataModel(joining: [schema]))
    }

    /// What is wrong with a text as lines with their places, or as JSON, and exit code 65.
    private static func report(
        _ invocation: Invocation, _ body: () async throws -> ErrorCode.ExitCode
    ) async throws -> ErrorCode.ExitCode {
        let problems: [String]
        do {
            return try await body()
        } catch let error as GraphQLError {
            problems = [text(error, invocation)]
        } catch let error as GraphQLErrors {
            problems = error.errors.map { text($0, invocation) }
        } catch let error as SchemaProblems {
            problems = error.problems.map(\.description)
        }
        if invocation.wantsJSON {
            invocation.printJSON(["errors": .array(problems.map { .string($0) })])
        } else {
            for problem in problems { invocation.terminal.note(problem) }
        }
        return .badInput
    }

    private static func text(_ error: GraphQLError, _ invocation: Invocation) -> String {
        let place = error.locations.first.map { "\(invocation.argument(0) ?? "-"):\($0.line):\($0.column): " } ?? ""
        return place + error.message
    }
}
