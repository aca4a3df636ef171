import ApusDatabase
import ApusRuntime
import ApusSchemas
import ApusTypes
import TestKit
import Testing

@testable import ApusQuery

/// Real sources, opened as a node opens them, and operations over them.
struct SourceLab: Sendable {
    let service: QueryService
    let sources: [any DataSource]

    static func with<Value>(
        _ definitions: [SourceDefinition], options: SourceOpener.Options = SourceOpener.Options(), environment: [String: String] = [:],
        service: QueryService.Options = QueryService.Options(), _ body: (SourceLab) async throws -> Value
    ) async throws -> Value {
        let opener = SourceOpener(loops: TestLoops.shared, environment: environment, options: options)
        var inputs: [SchemaCompiler.Input] = []
        var sources: [String: any DataSource] = [:]
        for definition in definitions {
            var definition = definition
            if definition.isSelfDescribed { definition.files += try await opener.describe(definition) }
            inputs.append(SchemaCompiler.Input(try #require(definition.description), files: definition.files))
            sources[definition.name] = try await opener.open(definition)
        }
        let output = SchemaCompiler().compile(inputs)
        try #require(output.suspended == [:])
        let schema = ServedSchema(version: 1, api: output.api, sources: sources, suspended: output.suspended)
        var service = service
        service.transform = options.transform
        let lab = SourceLab(
            service: QueryService(schemas: SchemaHolder(schema), loops: 1, options: service), sources: Array(sources.values))
        do {
            let value = try await body(lab)
            for source in lab.sources { await source.close() }
            return value
        } catch {
            for source in lab.sources { await source.close() }
            throw error
        }
    }

    func answer(_ text: String, _ variables: JSONObject = [:], identity: JSONObject = [:]) async -> String {
        var request = QueryRequest(Array(text.utf8), deadline: BootClock.now.advanced(by: .seconds(20)))
        request.variables = variables
        request.identity = identity
        return String(decoding: await service.answer(request).json(), as: UTF8.self)
    }

    /// A SQLite file with these tables.
    static func sqlite(
        _ name: String, in directory: TemporaryDirectory, _ statements: [StaticSQL], schema: String
    ) async throws
        -> SourceDefinition
    {
        let path = "\(directory.path)/\(name).db"
        let database = try await SQLiteDatabase.open(path: path)
        _ = try await database.run(statements.map { .once($0) }, on: .write, deadline: BootClock.now.advanced(by: .seconds(20)))
        await database.close()
        var definition = SourceDefinition(name, kind: .sqlite, path: path)
        definition.files = [SchemaFile(name: name, text: schema)]
        return definition
    }
}
