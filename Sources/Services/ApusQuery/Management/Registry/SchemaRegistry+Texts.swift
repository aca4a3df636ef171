internal import ApusCatalog
internal import ApusRuntime
internal import ApusSchemas
internal import ApusTypes
internal import Glibc

/// A definition with its texts, as it is loaded. The node that loads reads files and asks the source; the others get what it found.
extension SchemaRegistry {
    func prepared(_ name: String, deadline: Instant) async throws -> ServedSource {
        let tables = try await catalog.definitions.rows(of: [.dataSources, .catalogs, .catalogSources], deadline: deadline).rows
        guard let row = tables[.dataSources]?.first(where: { $0["name"]?.asString == name }) else {
            throw ApusError(.sourceUnknown, "there is no data source \"\(name)\"", hint: "apus query source list")
        }
        guard row["disabled"]?.asBool != true else {
            throw ApusError(.requestUnprocessable, "data source \"\(name)\" is disabled", hint: "set disabled to false first")
        }
        let shown = row["path"]?.asString ?? ""
        let sealed = row["secret"]?.asString
        guard sealed == nil || secrets() != nil else {
            throw ApusError(.secretKeyUnknown, "this node has no key to open secrets with", hint: "set query.secret_key_file")
        }
        let secret = try sealed.flatMap { try secrets()?.open($0, for: Self.secretPurpose(name)) }
        var definition = SourceDefinition(
            name, kind: SourceDefinition.Kind(rawValue: row["type"]?.asString ?? ""),
            path: SecretPath(shown: shown, secret: secret).whole.reveal())
        definition.prefix = row["prefix"]?.asString ?? ""
        definition.isModule = row["as_module"]?.asBool ?? false
        definition.isReadOnly = row["read_only"]?.asBool ?? false
        definition.isSelfDescribed = row["self_defined"]?.asBool ?? false
        let links = Set(
            (tables[.catalogs] ?? []).filter { $0["data_source_name"]?.asString == name }.compactMap { $0["catalog_name"]?.asString })
        for catalogSource in tables[.catalogSources] ?? [] where links.contains(catalogSource["name"]?.asString ?? "") {
            definition.files += try await texts(of: catalogSource)
        }
        if definition.isSelfDescribed { definition.files += try await describe(definition) }
        guard definition.files.reduce(0, { $0 + $1.text.utf8.count }) <= options.textLimit.bytes else {
            throw ApusError(.requestUnprocessable, "the schema of data source \"\(name)\" is larger than \(options.textLimit)")
        }
        return definition.served(shown: shown, secret: sealed)
    }

    /// `text`: the path itself. `localFS`, `uri`: a directory of `.graphql` files; `uriFile`: one file. Files are on the node that loads.
    private func texts(of row: JSONObject) async throws -> [SchemaFile] {
        let (name, path) = (row["name"]?.asString ?? "", row["path"]?.asString ?? "")
        let file = path.hasPrefix("file://") ? String(path.dropFirst("file://".count)) : path
        switch row["type"]?.asString ?? "" {
        case "text": return [SchemaFile(name: name, text: path)]
        case let type where file.contains("://"):
            throw ApusError(
                .sourceUnsupported, "catalog source \"\(name)\" (\(type)) is not on this machine, which cannot be read yet",
                hint: "copy the files to the node, or give them as type text")
        case "localFS", "uri": return try await read(file) { try SchemaTexts.directory(file) }
        case "uriFile": return try await read(file) { [try SchemaTexts.file(file)] }
        case let type:
            throw ApusError(
                .requestInvalid, "catalog_sources.type: \"\(type)\" is none of text, localFS, uri, uriFile",
                context: ["field": "catalog_sources.type"])
        }
    }

    private func read(_ path: String, _ body: @escaping @Sendable () throws -> [SchemaFile]) async throws -> [SchemaFile] {
        try await pool.run(deadline: clock.now.advanced(by: .seconds(5)), body)
    }
}

/// Texts of schemas in files. Blocks.
enum SchemaTexts {
    static func directory(_ path: String) throws -> [SchemaFile] {
        guard let directory = opendir(path) else { throw unreadable(path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".graphql") || name.hasSuffix(".graphqls") { names.append(name) }
        }
        guard !names.isEmpty else {
            throw ApusError(.inputUnreadable, "\(path) holds no *.graphql file", hint: "a catalog source's path is a directory of them")
        }
        return try names.sorted().map { try file("\(path)/\($0)", name: $0) }
    }

    static func file(_ path: String, name: String? = nil) throws -> SchemaFile {
        guard let file = fopen(path, "rbe") else { throw unreadable(path) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
            guard bytes.count <= 8 << 20 else { throw ApusError(.requestTooLarge, "\(path) is larger than 8 MiB") }
        }
        guard ferror(file) == 0 else { throw unreadable(path) }
        return SchemaFile(
            name: name ?? path.split(separator: "/").last.map(String.init) ?? path, text: String(decoding: bytes, as: UTF8.self))
    }

    private static func unreadable(_ path: String) -> ApusError {
        ApusError(.inputUnreadable, "\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
}
