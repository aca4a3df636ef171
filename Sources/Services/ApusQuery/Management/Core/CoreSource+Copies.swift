internal import ApusCatalog
internal import ApusRuntime
internal import ApusTypes

/// `core.db`: copies of the definitions in files of the node that is asked.
extension CoreSource {
    func copy(_ function: String, _ arguments: JSONObject, deadline: Instant) async -> JSONValue {
        let path = arguments["path"]?.asString ?? ""
        do {
            let count: Int
            let message: String
            switch function {
            case "export_database":
                count = try await export(to: path, deadline: deadline)
                message = "Database exported to \(path)"
            case "import_database":
                let backup = arguments["backup_path"]?.asString ?? ""
                if !backup.isEmpty { _ = try await export(to: backup, deadline: deadline) }
                count = try await restore(from: path, deadline: deadline)
                message = "Database imported from \(path)" + (backup.isEmpty ? "" : " (backup at \(backup))")
            default:
                guard arguments["recompute_embeddings"]?.asBool != true else {
                    throw ApusError(.unsupported, "descriptions have no embeddings here")
                }
                count = try await importDescriptions(from: path, deadline: deadline)
                message = "Descriptions imported"
            }
            return ["success": true, "affected_rows": .integer(Int64(count)), "message": .string(message)]
        } catch {
            return ["success": false, "message": .string((error as? ApusError)?.summary ?? "\(error)")]
        }
    }

    private func export(to path: String, deadline: Instant) async throws -> Int {
        let rows = try await catalog.definitions.rows(of: QueryTable.all, deadline: deadline).rows
        let text = DefinitionsCopy(rows).text
        try await registry.pool.run(deadline: deadline) { try DefinitionsCopy.write(text, to: path) }
        return rows.values.reduce(0) { $0 + $1.count }
    }

    private func read(_ path: String, deadline: Instant) async throws -> DefinitionsCopy {
        try await registry.pool.run(deadline: deadline) { try DefinitionsCopy.read(path) }
    }

    /// What is defined is what the file says, and nothing else. Data sources that the file has stay served as they are until they are loaded.
    private func restore(from path: String, deadline: Instant) async throws -> Int {
        let copy = try await read(path, deadline: deadline)
        let count = try await catalog.definitions.change(deadline: deadline) { change in
            for table in QueryTable.all {
                let kept = Set(copy.rows(of: table).map { Self.key($0, of: table) })
                for row in try await change.rows(of: table) where !kept.contains(Self.key(row, of: table)) {
                    _ = try await change.delete(Self.key(row, of: table), from: table)
                }
            }
            var count = 0
            for table in QueryTable.all {
                for row in copy.rows(of: table) {
                    if try await !change.update(Self.key(row, of: table), to: row, in: table) {
                        guard try await change.insert(row, into: table) else {
                            throw ApusError(
                                .definitionExists,
                                "\(table.name): \"\(Self.key(row, of: table).joined(separator: ", "))\" is not the only one with its values"
                            )
                        }
                    }
                    count += 1
                }
            }
            return count
        }
        await access?.changed(deadline: deadline)
        return count
    }

    /// Of rows that are there; all else of them stays.
    private func importDescriptions(from path: String, deadline: Instant) async throws -> Int {
        let copy = try await read(path, deadline: deadline)
        return try await catalog.definitions.change(deadline: deadline) { change in
            var count = 0
            for table in QueryTable.all where table[column: "description"] != nil {
                for row in copy.rows(of: table) {
                    guard let description = row["description"]?.asString, !description.isEmpty else { continue }
                    if try await change.update(Self.key(row, of: table), to: ["description": .string(description)], in: table) {
                        count += 1
                    }
                }
            }
            return count
        }
    }

    private static func key(_ row: JSONObject, of table: QueryTable) -> [String] { table.key.map { row[$0]?.asString ?? "" } }
}
