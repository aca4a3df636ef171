internal import ApusConfig
internal import ApusDatabase
internal import ApusGraphQL
internal import ApusQuery
internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusSchemas
internal import ApusTypes

extension Configuration {
    var queryOptions: QueryService.Options {
        var options = QueryService.Options()
        options.operations.depth = query.maxDepth
        options.operations.fields = query.maxFields
        options.plans.defaultRows = query.defaultRows
        options.plans.rows = query.maxRows
        options.plans.replyBytes = query.maxReply.bytes
        options.needsCaller = true
        options.inFlight = query.maxInFlight
        options.sharedInFlight = query.sharedInFlight == 0 ? 8 * EventLoops.coreCount : query.sharedInFlight
        options.waiting = query.maxQueued
        options.patience = query.queueTime
        return options
    }

    func sourceOpener(loops: EventLoops, transform: JSONTransform?, collections: any PointCollections) -> SourceOpener {
        var options = SourceOpener.Options()
        options.pool.readers = query.readers
        options.pool.connections = query.connections
        options.pool.waiting = query.maxWaiting
        options.pool.statementTime = query.statementTimeout
        options.httpReply = query.maxReply
        options.allowsLinkLocal = query.allowsLinkLocal
        options.transform = transform
        options.collections = collections
        options.duckDBLibrary = query.duckDBLibrary
        options.duckDB.memory = query.duckDBMemory
        options.duckDB.rows = query.maxReply
        return SourceOpener(loops: loops, environment: processEnvironment(), options: options)
    }

    /// The sources of this configuration. Their files are read now, so that a start tells what is wrong with them.
    func sourceDefinitions() throws(ApusError) -> [SourceDefinition] {
        var definitions: [SourceDefinition] = []
        for source in query.sources { definitions.append(try source.definition()) }
        return definitions
    }
}

extension Configuration.QuerySource {
    fileprivate func definition() throws(ApusError) -> SourceDefinition {
        var definition = SourceDefinition(name, kind: SourceDefinition.Kind(rawValue: type), path: path)
        definition.prefix = prefix
        definition.isModule = isModule
        definition.isReadOnly = isReadOnly
        definition.isSelfDescribed = isSelfDescribed
        definition.replicas = replicas
        for path in schema {
            for file in FileTree.schemaFiles(path) {
                let text = String(decoding: try FileContents.read(file, limit: .mebibytes(16)), as: UTF8.self)
                definition.files.append(SchemaFile(name: file, text: text))
            }
        }
        return definition
    }
}
