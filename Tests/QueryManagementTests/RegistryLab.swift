import ApusCatalog
import ApusDatabase
import ApusGraphQL
import ApusQuery
import ApusRuntime
import ApusSchemas
import ApusTypes
import DatabaseTestKit
import Synchronization
import TestKit
import Testing

enum Backend: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite = "SQLite"
    case postgreSQL = "PostgreSQL"

    var testDescription: String { rawValue }
}

/// Nodes of one cluster in this process: each has a registry that runs, over one catalog. PostgreSQL gives each its own connections.
final class RegistryLab: Sendable {
    let nodes: [ManagedNode]
    let clock = BootClock()
    var deadline: Instant { clock.now.advanced(by: .seconds(120)) }

    private init(nodes: [ManagedNode]) { self.nodes = nodes }

    static func with(
        _ backend: Backend, nodes count: Int = 1, keys: [String] = ["a key of this laboratory"],
        _ body: @escaping @Sendable (RegistryLab) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let url = backend == .postgreSQL ? try await PostgreSQLServer.shared().newDatabase() : nil
        let shared = url == nil ? try await SQLiteDatabase.open(path: directory.path + "/catalog.db") : nil
        var databases: [any Database] = []
        let network = LabNetwork()
        var nodes: [ManagedNode] = []
        for number in 1...count {
            let database: any Database
            if let url {
                database = try await PostgreSQLDatabase.open(
                    url: url, loops: TestLoops.shared, deadline: BootClock.now.advanced(by: .seconds(30)))
            } else {
                database = try #require(shared)
            }
            databases.append(database)
            let catalog = try await Catalog.open(database, clock: BootClock())
            nodes.append(ManagedNode(NodeName("n\(number)"), catalog, network, keys: keys))
        }
        network.nodes.withLock { $0 = nodes }
        let lab = RegistryLab(nodes: nodes)
        do {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for node in lab.nodes {
                    group.addTask {
                        try await node.catalog.run()
                        return false
                    }
                    group.addTask {
                        try await node.registry.run()
                        return false
                    }
                }
                group.addTask {
                    for node in lab.nodes { try await node.registry.require(0, deadline: lab.deadline) }
                    try await body(lab)
                    return true
                }
                while let isDone = try await group.next(), !isDone {}
                group.cancelAll()
            }
        } catch {
            for database in databases { await database.close() }
            throw error
        }
        for database in databases { await database.close() }
        withExtendedLifetime(directory) {}
    }
}

/// Whom the nodes of a laboratory can call.
final class LabNetwork: Sendable {
    let nodes = Mutex<[ManagedNode]>([])
    let unreachable = Mutex<Set<NodeName>>([])
}

/// A node with its registry, and what its sources are opened by.
final class ManagedNode: Sendable {
    let name: NodeName
    let catalog: Catalog
    let registry: SchemaRegistry
    let queries: QueryService
    let health = Health(clock: BootClock())
    let network: LabNetwork
    /// Paths that sources were opened with, in their order.
    let opened: OpenedSources

    init(_ name: NodeName, _ catalog: Catalog, _ network: LabNetwork, keys: [String]) {
        self.name = name
        self.catalog = catalog
        self.network = network
        let opened = OpenedSources()
        self.opened = opened
        let held = Box(keys)
        var options = SchemaRegistry.Options()
        // A machine that is busy with other tests takes its time: nothing here is about how long.
        options.settleWithin = .seconds(60)
        options.openWithin = .seconds(60)
        options.firstPause = .milliseconds(50)
        options.longestPause = .milliseconds(200)
        registry = SchemaRegistry(
            catalog: catalog, secrets: { SecretRing(held.value.withLock { $0 }.map { Redacted($0) }) },
            peers: LabPeers(node: name, network: network), health: health, options: options,
            open: { try opened.open($0) })
        box = held
        queries = QueryService(schemas: registry.holder, loops: 1)
        registry.add(CoreSource.all(registry, facts: .init(version: "0.1", isManager: name == "n1", managementURL: { "http://n1" })))
    }

    /// The reply to an operation, as JSON.
    func query(_ text: String, _ variables: JSONObject = [:]) async throws -> JSONValue {
        var request = QueryRequest(Array(text.utf8), deadline: BootClock.now.advanced(by: .seconds(30)))
        request.variables = variables
        return try JSONValue(parsing: await queries.answer(request).json())
    }

    private let box: Box

    func setKeys(_ keys: [String]) { box.value.withLock { $0 = keys } }

    /// Writes a data source with a text for its schema.
    func define(_ name: String, _ text: String, type: String = "sqlite", path: String = "p", secret: String? = nil) async throws {
        let deadline = BootClock.now.advanced(by: .seconds(30))
        try await catalog.definitions.change(deadline: deadline) { change in
            _ = try await change.delete([name], from: .catalogSources)
            let text: JSONObject = ["name": .string(name), "type": "text", "path": .string(text)]
            _ = try await change.insert(text, into: .catalogSources)
            var row: JSONObject = ["type": .string(type), "path": .string(path)]
            row["secret"] = secret.map { .string($0) } ?? .null
            if try await !change.update([name], to: row, in: .dataSources) {
                for (key, value) in [
                    ("name", JSONValue.string(name)), ("prefix", .string(name)), ("as_module", true), ("disabled", false),
                    ("self_defined", false), ("read_only", false),
                ] { row[key] = value }
                _ = try await change.insert(row, into: .dataSources)
            }
            _ = try await change.insert(["data_source_name": .string(name), "catalog_name": .string(name)], into: .catalogs)
        }
    }

    /// The sources that it serves besides its own.
    var sources: [String] { registry.holder.current?.sources.keys.sorted().filter { !$0.hasPrefix("core") } ?? [] }

    /// The fields of a type of the API that it serves; nil where there is no such type.
    func fields(of type: String) -> [String]? { registry.holder.current?.api.schema.type(type)?.fields.map(\.name) }
}

private final class Box: Sendable {
    let value: Mutex<[String]>
    init(_ value: [String]) { self.value = Mutex(value) }
}

private struct LabPeers: SchemaPeers {
    let node: NodeName
    let network: LabNetwork

    func others(deadline: Instant) async -> [NodeName] { network.nodes.withLock { $0.map(\.name) }.filter { $0 != node } }

    func call(_ node: NodeName, _ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8] {
        let target = network.nodes.withLock { $0.first { $0.name == node } }
        guard let target, !network.unreachable.withLock({ $0.contains(node) }) else { throw ApusError(.peerUnreachable, "nobody answers") }
        return try await target.registry.answer(method, message, deadline: deadline)
    }
}

/// Sources that hold nothing.
final class OpenedSources: Sendable {
    let paths = Mutex<[String]>([])
    let closed = Mutex<[String]>([])
    /// Paths that cannot be opened now.
    let broken = Mutex<Set<String>>([])

    func open(_ definition: SourceDefinition) throws -> (any DataSource)? {
        paths.withLock { $0.append(definition.path) }
        if broken.withLock({ $0.contains(definition.path) }) { throw ApusError(.sourceUnavailable, "\(definition.name) is broken here") }
        return EmptySource(name: definition.name, path: definition.path, book: self)
    }

    private final class EmptySource: DataSource {
        let name: String
        let path: String
        let book: OpenedSources

        init(name: String, path: String, book: OpenedSources) {
            self.name = name
            self.path = path
            self.book = book
        }

        func close() async { book.closed.withLock { $0.append(path) } }
    }
}
