internal import ApusCatalog
internal import ApusRuntime
internal import ApusSchemas
public import ApusTypes

extension SchemaRegistry {
    /// Serves a source as its definition and texts are now: tried first beside everything else that is served, so what does not fit is refused
    /// with `schema.invalid` and changes nothing. Returns when the nodes serve it, or says which do not.
    ///
    /// `onlyTried`: nothing is changed; what would be is told.
    public func load(_ name: String, onlyTried: Bool = false, deadline: Instant) async throws -> SchemaChange {
        let source = try await prepared(name, deadline: deadline)
        return try await change({ _ in [name: source] }, "\(name) was loaded", onlyTried: onlyTried, deadline: deadline)
    }

    /// Ceases to serve a source. Throws `source.unknown` where it is not served.
    public func unload(_ name: String, onlyTried: Bool = false, deadline: Instant) async throws -> SchemaChange {
        try await change(
            { set throws(ApusError) in
                guard set.sources.contains(where: { $0.name == name }) else {
                    throw ApusError(.sourceUnknown, "data source \"\(name)\" is not loaded", hint: "apus query source list")
                }
                return [name: nil]
            }, "\(name) was unloaded", onlyTried: onlyTried, deadline: deadline)
    }

    /// Serves what version `version` served, as a new version. Secrets are those of the definitions: a source with another path than its
    /// definition's comes back without its own.
    public func rollBack(to version: Int64, onlyTried: Bool = false, deadline: Instant) async throws -> SchemaChange {
        let target = try await catalog.served.sources(at: version, deadline: deadline)
        let definitions = try await catalog.definitions.rows(of: .dataSources, deadline: deadline)
        let complete = try target.map { source in
            var source = source
            let row = definitions.first { $0["name"]?.asString == source.name }
            let shown = try SourceDefinition(source, secret: nil).path
            if row?["path"]?.asString == shown { source.secret = row?["secret"]?.asString }
            return source
        }
        return try await change(
            { set in
                var changes: [String: ServedSource?] = [:]
                for source in set.sources where !complete.contains(where: { $0.name == source.name }) { changes[source.name] = .some(nil) }
                for source in complete where !set.sources.contains(source) { changes[source.name] = source }
                return changes
            }, "back to version \(version)", onlyTried: onlyTried, deadline: deadline)
    }

    // MARK: One change

    /// `changes` are made of what is served then, and once more when somebody else was faster.
    private func change(
        _ changes: (ServedSet) throws -> [String: ServedSource?], _ summary: String, onlyTried: Bool, deadline: Instant
    ) async throws -> SchemaChange {
        while true {
            let set = try await catalog.served.current(deadline: deadline)
            let changes = try changes(set)
            var candidate = set
            candidate.sources = set.sources.compactMap { source in changes[source.name] ?? source }
            // What is new is registered after what is there.
            let known = Set(set.sources.map(\.name))
            candidate.sources += changes.values.compactMap { $0 }.filter { !known.contains($0.name) }.sorted { $0.name < $1.name }
            let made = try await make(candidate)
            try await refuseMisfits(made.output, of: changes, beside: set)
            if onlyTried || changes.isEmpty {
                var difference = SchemaDifference(from: holder.current?.api.schema, to: made.output.api.schema).lines
                if onlyTried { difference += Self.standings(after: made.output.suspended, before: try await make(set).output.suspended) }
                return SchemaChange(version: set.versions.schema, difference: difference)
            }
            do {
                let version = try await catalog.served.change(
                    changes, after: set.versions.schema, summary: summary, deadline: deadline)
                forgetTries(of: changes.keys)
                wake.rise(by: 1)
                return SchemaChange(version: version, missing: await settle(version, deadline: deadline))
            } catch let error as ApusError where error.code == .schemaMovedOn {
                guard clock.now < deadline else { throw error }
            }
        }
    }

    /// Which sources would be left out, and which would not be any more.
    private static func standings(after: [String: String], before: [String: String]) -> [String] {
        Set(before.keys).union(after.keys).sorted().compactMap { name in
            switch (before[name], after[name]) {
            case (nil, let reason?): "! data source \(name) would be left out: \(reason)"
            case (_?, nil): "! data source \(name) would be served again"
            default: nil
            }
        }
    }

    /// What is served now stays, and what is new fits.
    private func refuseMisfits(
        _ output: SchemaCompiler.Output, of changes: [String: ServedSource?], beside set: ServedSet
    ) async throws {
        let added = changes.filter { $0.value != nil }.keys.sorted()
        if let name = added.first(where: { output.suspended[$0] != nil }), let reason = output.suspended[name] {
            throw ApusError(.schemaInvalid, reason, context: ["source": name])
        }
        guard !added.isEmpty, !output.suspended.isEmpty else { return }
        let before = try await make(set).output.suspended
        guard let (name, reason) = output.suspended.sorted(by: { $0.key < $1.key }).first(where: { before[$0.key] == nil }) else { return }
        throw ApusError(
            .schemaInvalid, "data source \"\(name)\", which is loaded, would not fit any more: \(reason)", context: ["source": name])
    }

    // MARK: Every node

    static let standingMethod = "schema.standing"
    public static let peerMethods = [standingMethod]

    /// Answers what another node's registry asks: how far this one is, once it serves a version, if it does in time.
    public func answer(_ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8] {
        guard method == Self.standingMethod else { throw ApusError(.unsupported, "this node does not know the call \(method)") }
        var reader = WireReader(message)
        let version = try reader.read(Int64.self)
        try reader.finish()
        return await standing(at: version, deadline: deadline).wireBytes
    }

    private func standing(at version: Int64, deadline: Instant) async -> SchemaStanding {
        if served.value < version {
            wake.rise(by: 1)
            _ = await served.wait(for: version, until: deadline)
        }
        return standing
    }

    /// How far the nodes are once they serve a version, or at the latest in `Options.settleWithin`; nil for those that do not answer.
    public func standings(at version: Int64 = 0, deadline: Instant) async -> [NodeName: SchemaStanding?] {
        let patience = min(deadline, clock.now.advanced(by: options.settleWithin))
        let own = peers?.node ?? "this node"
        let others = await peers?.others(deadline: min(patience, clock.now.advanced(by: .seconds(1)))) ?? []
        return await withTaskGroup(of: (NodeName, SchemaStanding?).self) { group in
            group.addTask { (own, await self.standing(at: version, deadline: patience)) }
            for node in others {
                group.addTask { [peers, log, clock] in
                    do {
                        var writer = WireWriter()
                        writer.write(version)
                        // It waits until then itself, and its answer is still on its way.
                        let reply = try await peers?.call(
                            node, Self.standingMethod, writer.bytes, deadline: patience.advanced(by: .milliseconds(200)))
                        return (node, try reply.map { try SchemaStanding(wireBytes: $0) })
                    } catch {
                        log.debug("a node does not say how far it is", ["node": node.rawValue, "error": "\(error)", "at": "\(clock.now)"])
                        return (node, nil)
                    }
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = .some($1.1) }
        }
    }

    private func settle(_ version: Int64, deadline: Instant) async -> [NodeName: String] {
        await standings(at: version, deadline: deadline).compactMapValues { standing in
            guard let standing else { return "it does not answer" }
            return standing.version >= version ? nil : standing.reason ?? "it serves version \(standing.version)"
        }
    }
}
