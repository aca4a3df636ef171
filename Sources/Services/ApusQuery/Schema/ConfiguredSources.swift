internal import ApusRuntime
internal import ApusSchemas
internal import ApusTypes

/// Serves the data sources of a node's own configuration: opens them, makes the schema, and tries again what cannot be served yet.
public final class ConfiguredSources: Sendable {
    private let definitions: [SourceDefinition]
    private let opener: SourceOpener
    private let served: SchemaHolder
    private let compiler = SchemaCompiler()
    private let log = Logger("query")

    public init(_ definitions: [SourceDefinition], opener: SourceOpener, served: SchemaHolder) {
        self.definitions = definitions
        self.opener = opener
        self.served = served
    }

    /// Serves what can be served now; whether that is all.
    @discardableResult
    public func serve() async -> Bool {
        let before = served.current
        var sources: [String: any DataSource] = [:]
        var suspended: [String: String] = [:]
        var inputs: [SchemaCompiler.Input] = []
        for definition in definitions {
            do {
                guard let description = definition.description else { throw SourceOpener.unsupported(definition) }
                let source: (any DataSource)?
                if let open = before?.sources[definition.name] { source = open } else { source = try await opener.open(definition) }
                sources[definition.name] = source
                var files = definition.files
                if definition.isSelfDescribed, let described = source as? any SQLSource {
                    let deadline = BootClock.now.advanced(by: .seconds(5))
                    files.append(try await SelfDescription.file(of: described, besides: files, deadline: deadline))
                }
                inputs.append(SchemaCompiler.Input(description, files: files))
            } catch {
                suspended[definition.name] = (error as? ApusError)?.summary ?? "\(error)"
            }
        }
        do {
            let compiled = try compiler.compile(inputs)
            suspended.merge(compiled.suspended) { own, _ in own }
            // Nothing has changed: what was made for the schema that is served stays good.
            if let before, before.suspended == suspended { return false }
            served.serve(
                ServedSchema(version: (before?.version ?? 0) + 1, api: compiled.api, sources: sources, suspended: suspended))
        } catch {
            for input in inputs { suspended[input.source.name] = "\(error)" }
        }
        for (name, why) in suspended.sorted(by: { $0.key < $1.key }) where before?.suspended[name] != why {
            log.warning("data source is not served", ["source": name, "why": why])
        }
        return suspended.isEmpty
    }

    /// Tries again, with growing pauses, until all are served.
    public func run() async throws {
        var pause = Duration.seconds(1)
        while served.current?.suspended.isEmpty != true {
            try await BootClock().sleep(for: pause)
            pause = min(pause * 2, .seconds(30))
            await serve()
        }
        try await BootClock().sleep(until: .distantFuture)
    }
}
