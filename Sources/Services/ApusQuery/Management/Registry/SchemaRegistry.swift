public import ApusCatalog
public import ApusRuntime
public import ApusSchemas
public import ApusTypes
internal import Synchronization

/// The schema of this node: made of what the catalog says is served, off the request path, and swapped whole.
///
/// Every version is made of texts alone that are in the catalog, so nodes that serve the same version serve the same. A source that this node
/// cannot open is suspended here, with its reason, and tried again. A node that cannot make a version keeps the one before, and says so.
/// `run()` must be running.
public final class SchemaRegistry: Sendable {
    public struct Options: Sendable {
        /// How long a change waits for the nodes to serve it.
        public var settleWithin: Duration = .seconds(8)
        /// How long a source may take to open before it is tried again beside the others.
        public var openWithin: Duration = .seconds(1)
        /// Between tries of a source that does not open: doubled up to the last.
        public var firstPause: Duration = .seconds(1)
        public var longestPause: Duration = .seconds(30)
        /// Of the texts of one source.
        public var textLimit: ByteCount = .mebibytes(8)

        public init() {}
    }

    /// Opens a source; nil for one without data of its own.
    public typealias Open = @Sendable (SourceDefinition) async throws -> (any DataSource)?
    /// Reads the schema of a source from the source itself.
    public typealias Describe = @Sendable (SourceDefinition) async throws -> [SchemaFile]

    public let holder: SchemaHolder
    let catalog: Catalog
    let options: Options
    let open: Open
    let describe: Describe
    let secrets: @Sendable () -> SecretRing?
    let peers: (any SchemaPeers)?
    let compiler = SchemaCompiler()
    let clock: any MonotonicClock
    let log = Logger("schema")
    /// Compiling takes a processor for many milliseconds; reading texts may hang.
    let pool = BlockingPool(name: "schemas", threads: 2, queueLimit: 256)
    private let health: Health?
    private let metrics: SchemaMetrics
    private let builtIn: Mutex<[BuiltInSource]>
    private let configured = Mutex(Configured())
    /// Raised to have a look at the catalog now.
    let wake: Watermark
    /// The version that is served.
    let served: Watermark
    private let state = Mutex(State())

    private struct State {
        var standing = SchemaStanding()
        var set: ServedSet?
        /// Sources that are open, with what they were opened by.
        var open: [String: (definition: SourceDefinition, source: (any DataSource)?)] = [:]
        var tries: [String: Tries] = [:]
        var sequence: UInt64 = 0
        /// Schemas that requests may still hold, and sources that only these use.
        var old: [WeakSchema] = []
        var retired: [any DataSource] = []
    }

    /// Sources of this node's configuration. What they say of themselves is found out once.
    private struct Configured {
        var definitions: [SourceDefinition] = []
        var described: [String: [SchemaFile]] = [:]
        var problems: [String: String] = [:]
        var isNew = false
    }

    private struct Tries {
        var reason: String
        var pause: Duration
        var next: Instant
    }

    private struct WeakSchema {
        weak var schema: ServedSchema?
    }

    /// `secrets` gives the keys as they are now: they may be exchanged while the node runs.
    public init(
        catalog: Catalog, holder: SchemaHolder = SchemaHolder(), secrets: @escaping @Sendable () -> SecretRing?,
        peers: (any SchemaPeers)? = nil, health: Health? = nil, metrics: MetricsRegistry = MetricsRegistry(), options: Options = Options(),
        describe: @escaping Describe = { definition in
            throw ApusError(
                .sourceUnsupported, "data source \"\(definition.name)\" cannot describe itself",
                hint: "write its schema: add a catalog source and set self_defined to false")
        }, open: @escaping Open
    ) {
        self.catalog = catalog
        self.holder = holder
        self.secrets = secrets
        self.peers = peers
        self.health = health
        self.options = options
        self.describe = describe
        self.open = open
        self.metrics = SchemaMetrics(metrics, of: holder)
        builtIn = Mutex([])
        clock = catalog.clock
        wake = Watermark(clock: catalog.clock)
        served = Watermark(-1, clock: catalog.clock)
        health?.report("schema", ApusError(.nodeUnready, "the schema is not read yet"), blocks: [.read, .write])
    }

    /// Sources of the program itself, which come before all others. Before `run()`.
    public func add(_ sources: [BuiltInSource]) { builtIn.withLock { $0 += sources } }

    /// Sources that this node serves besides what the catalog says. Before `run()`.
    public func configure(_ definitions: [SourceDefinition]) {
        configured.withLock { $0 = Configured(definitions: definitions, isNew: true) }
    }

    public var standing: SchemaStanding { state.withLock { $0.standing } }

    /// Returns once this node serves at least `version`. Throws `schema.behind` at the deadline.
    public func require(_ version: Int64, deadline: Instant) async throws(ApusError) {
        if served.value >= version { return }
        wake.rise(by: 1)
        guard await !served.wait(for: version, until: deadline) else { return }
        let standing = standing
        throw ApusError(
            .schemaBehind,
            "this node serves version \(standing.version) of the schema, and \(version) was asked for"
                + (standing.reason.map { ": \($0)" } ?? ""))
    }

    // MARK: Following

    /// Serves what the catalog says until the task is cancelled.
    public func run() async throws { try await runTogether(followFeed, serve) }

    private func followFeed() async throws {
        for try await event in catalog.feed.follow(from: nil) {
            switch event {
            case .rebuild: wake.rise(by: 1)
            case .changes(let changes, _):
                if changes.contains(where: { $0.topic == .querySchema || $0.topic == .queryDefinition && $0.key == "secrets" }) {
                    wake.rise(by: 1)
                }
            }
        }
    }

    private func serve() async throws {
        while true {
            try Task.checkCancellation()
            let mark = wake.value
            var next = clock.now.advanced(by: .seconds(600))
            do {
                let areDescribed = await describeConfigured()
                if !areDescribed { next = clock.now.advanced(by: options.firstPause) }
                try await look(deadline: clock.now.advanced(by: .seconds(2)))
            } catch let error as ApusError {
                // What is served goes on; the catalog's absence is said by whoever watches it.
                log.debug("what is served cannot be read", ["error": error.description])
                next = clock.now.advanced(by: .milliseconds(200))
            }
            await closeRetired()
            next = state.withLock { state in
                if !state.retired.isEmpty { next = min(next, clock.now.advanced(by: .milliseconds(200))) }
                return state.tries.values.reduce(next) { min($0, $1.next) }
            }
            _ = await wake.wait(for: mark + 1, until: next)
        }
    }

    /// Reads what is served and, if that is something else than before or a source is to be tried again, makes a schema of it.
    private func look(deadline: Instant) async throws {
        let set = try await catalog.served.current(deadline: deadline)
        let now = clock.now
        let isNew = configured.withLock { configured in
            defer { configured.isNew = false }
            return configured.isNew
        }
        let isDue =
            isNew
            || state.withLock { state in
                state.standing.newest = set.versions.schema
                return state.set?.sources != set.sources || state.standing.reason != nil || state.tries.values.contains { $0.next <= now }
                    || holder.current == nil
            }
        if isDue { await apply(set) } else { reached(set, suspended: nil) }
    }

    /// False where some cannot be asked yet.
    private func describeConfigured() async -> Bool {
        let asked = configured.withLock { configured in
            configured.definitions.filter { $0.isSelfDescribed && configured.described[$0.name] == nil }
        }
        for definition in asked {
            do {
                let files = try await describe(definition)
                configured.withLock {
                    $0.described[definition.name] = files; $0.problems[definition.name] = nil; $0.isNew = true
                }
            } catch {
                let reason = (error as? ApusError)?.summary ?? "it does not describe itself"
                configured.withLock { configured in
                    if configured.problems.updateValue(reason, forKey: definition.name) != reason { configured.isNew = true }
                }
            }
        }
        return configured.withLock { $0.problems.isEmpty }
    }

    private func apply(_ set: ServedSet) async {
        let began = clock.now
        do {
            let made = try await make(set)
            let (sources, failures) = await opened(
                made.definitions, wanted: Set(made.definitions.keys).subtracting(made.output.suspended.keys))
            var suspended = made.output.suspended
            for (name, reason) in failures { suspended[name] = reason }
            serve(made.output.api, sources, suspended: suspended, of: set)
            reached(set, suspended: suspended, after: set.age + began.duration(to: clock.now))
            metrics.compiled(began.duration(to: clock.now))
        } catch {
            fellBehind(set, "\((error as? ApusError)?.summary ?? "\(error)")")
        }
    }

    /// The definitions of a set, and the API that is made of them.
    func make(_ set: ServedSet) async throws -> (definitions: [String: SourceDefinition], output: SchemaCompiler.Output) {
        var definitions: [String: SourceDefinition] = [:]
        var inputs = builtIn.withLock { $0.map(\.input) }
        var unusable = configured.withLock { $0.problems }
        var taken = Set(inputs.map(\.source.name))
        for var definition in configured.withLock({ $0.definitions }) where unusable[definition.name] == nil {
            guard taken.insert(definition.name).inserted else {
                unusable[definition.name] = "another source has its name already; give it another"
                continue
            }
            definition.files += configured.withLock { $0.described[definition.name] } ?? []
            guard let description = definition.description else {
                unusable[definition.name] = "its type \"\(definition.kind.rawValue)\" is not known here"
                continue
            }
            definitions[definition.name] = definition
            inputs.append(SchemaCompiler.Input(description, files: definition.files))
        }
        for source in set.sources {
            guard taken.insert(source.name).inserted else {
                unusable[source.name] = "this node's configuration has another source of its name"
                continue
            }
            do throws(ApusError) {
                let bare = try SourceDefinition(source, secret: nil)
                guard let description = bare.description else {
                    unusable[source.name] = "its type \"\(bare.kind.rawValue)\" is not known here"
                    continue
                }
                // Part of the schema even where its secret cannot be opened: the schema is the same on all nodes.
                inputs.append(SchemaCompiler.Input(description, files: bare.files))
                definitions[source.name] = try definition(of: source)
            } catch {
                unusable[source.name] = error.summary
            }
        }
        var output = try await pool.run { [compiler, inputs] in compiler.compile(inputs) }
        if let name = builtIn.withLock({ $0.first { output.suspended[$0.input.source.name] != nil }?.input.source.name }) {
            throw ApusError(.schemaInvalid, output.suspended[name] ?? "")  // a defect of this program, or a name of its own taken
        }
        output.suspended.merge(unusable) { first, _ in first }
        return (definitions, output)
    }

    /// With its secret. Throws where this node cannot open that.
    private func definition(of source: ServedSource) throws(ApusError) -> SourceDefinition {
        guard let sealed = source.secret else { return try SourceDefinition(source, secret: nil) }
        guard let ring = secrets() else {
            throw ApusError(.secretKeyUnknown, "this node has no key to open secrets with", hint: "set query.secret_key_file")
        }
        return try SourceDefinition(source, secret: ring.open(sealed, for: Self.secretPurpose(source.name)))
    }

    /// What a data source's secret is sealed for.
    static func secretPurpose(_ name: String) -> String { "data_source \(name)" }

    // MARK: Sources

    /// Sources for the definitions: those that are open already, or opened now, all at once. Which failed, and why.
    private func opened(
        _ definitions: [String: SourceDefinition], wanted: Set<String>
    ) async -> (sources: [String: any DataSource], failures: [String: String]) {
        let known = state.withLock { $0.open }
        let now = clock.now
        var found: [String: (definition: SourceDefinition, source: (any DataSource)?)] = [:]
        var failures: [String: String] = [:]
        var missing: [SourceDefinition] = []
        for name in wanted {
            guard let definition = definitions[name] else { continue }
            if let open = known[name], open.definition.isReached(like: definition) {
                found[name] = (definition, open.source)
            } else if let tries = state.withLock({ $0.tries[name] }), tries.next > now, known[name] == nil {
                failures[name] = tries.reason
            } else {
                missing.append(definition)
            }
        }
        let results = await withTaskGroup(of: (SourceDefinition, Result<(any DataSource)?, any Error>).self) { group in
            for definition in missing {
                group.addTask { [open, clock, options] in
                    do {
                        let deadline = clock.now.advanced(by: options.openWithin)
                        return (
                            definition, .success(try await withDeadline(deadline, "opening a data source") { try await open(definition) })
                        )
                    } catch { return (definition, .failure(error)) }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        for (definition, result) in results {
            switch result {
            case .success(let source): found[definition.name] = (definition, source)
            case .failure(let error): failures[definition.name] = (error as? ApusError)?.summary ?? "it cannot be opened"
            }
        }
        state.withLock { state in
            let stillUsed = Set(found.values.compactMap { $0.source.map { ObjectIdentifier($0) } })
            state.retired += state.open.values.compactMap(\.source).filter { !stillUsed.contains(ObjectIdentifier($0)) }
            state.open = found
            for (name, reason) in failures where missing.contains(where: { $0.name == name }) {
                let pause = state.tries[name].map { min($0.pause * 2, options.longestPause) } ?? options.firstPause
                state.tries[name] = Tries(reason: reason, pause: pause, next: now.advanced(by: pause))
            }
            state.tries = state.tries.filter { failures[$0.key] != nil }
        }
        return (found.compactMapValues(\.source), failures)
    }

    /// The databases that are open.
    var databases: [MetaSource.Described] {
        state.withLock { state in
            state.open.values.compactMap { definition, source in
                (source as? any SQLSource).map { .init(name: definition.name, source: $0, isReadOnly: definition.isReadOnly) }
            }
        }
    }

    /// Another definition of a source is another try.
    func forgetTries(of names: some Sequence<String>) { state.withLock { state in for name in names { state.tries[name] = nil } } }

    private func closeRetired() async {
        let closing = state.withLock { state in
            state.old.removeAll { $0.schema == nil }
            guard state.old.isEmpty else { return [any DataSource]() }
            defer { state.retired = [] }
            return state.retired
        }
        for source in closing { await source.close() }
    }

    // MARK: Swapping

    private func serve(_ api: DataAPI, _ sources: [String: any DataSource], suspended: [String: String], of set: ServedSet) {
        var sources = sources
        for builtIn in builtIn.withLock({ $0 }) { sources[builtIn.source.name] = builtIn.source }
        let (sequence, definitions) = state.withLock { state in
            state.sequence += 1
            return (state.sequence, state.open.values.map(\.definition))
        }
        let digest = Digest(of: definitions.sorted { $0.name < $1.name }.reduce(into: []) { $0 += $1.digest.bytes })
        let old = holder.current
        holder.serve(ServedSchema(version: sequence, api: api, sources: sources, suspended: suspended, digest: digest))
        if let old { state.withLock { $0.old.append(WeakSchema(schema: old)) } }
    }

    private func reached(_ set: ServedSet, suspended: [String: String]?, after time: Duration? = nil) {
        let (was, now) = state.withLock { state in
            let was = state.standing
            if state.set != nil, set.versions.schema != was.version, let time { state.standing.propagation = time }
            state.set = set
            state.standing.version = set.versions.schema
            state.standing.behindSince = nil
            state.standing.reason = nil
            if let suspended { state.standing.suspended = suspended }
            return (was, state.standing)
        }
        metrics.note(now)
        health?.recover("schema")
        for (name, reason) in now.suspended where was.suspended[name] != reason {
            log.warning("a data source is suspended on this node", ["source": name, "reason": reason])
        }
        for name in was.suspended.keys where now.suspended[name] == nil { log.notice("a data source is served again", ["source": name]) }
        if now.version != was.version, let time = now.propagation { metrics.propagated(time) }
        if now.version != was.version { log.info("another version of the schema is served", ["version": "\(now.version)"]) }
        report(now)
        // Last: whoever waits for it finds everything said.
        if now.version < served.value { served.reset() }  // the catalog went back in time
        served.rise(to: now.version)
    }

    private func fellBehind(_ set: ServedSet, _ reason: String) {
        let standing = state.withLock { state in
            state.standing.newest = set.versions.schema
            state.standing.behindSince = state.standing.behindSince ?? clock.now
            state.standing.reason = reason
            return state.standing
        }
        metrics.note(standing)
        health?.report(
            "schema",
            ApusError(
                .schemaBehind,
                "this node serves version \(standing.version) of the schema, and cannot make version \(standing.newest): \(reason)",
                hint: "apus query schema rollback, or run the version of Apus that the other nodes run"), blocks: [])
    }

    private func report(_ standing: SchemaStanding) {
        guard !standing.suspended.isEmpty else {
            health?.recover("data_sources")
            return
        }
        let names = standing.suspended.sorted { $0.key < $1.key }
        health?.report(
            "data_sources",
            ApusError(
                .sourceUnavailable,
                "this node does not serve " + names.map { "\($0.key) (\($0.value))" }.joined(separator: ", "),
                hint: "apus query source list"), blocks: [])
    }
}
