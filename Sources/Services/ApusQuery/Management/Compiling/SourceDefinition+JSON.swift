internal import ApusCatalog
internal import ApusSchemas
internal import ApusTypes

/// A definition as the catalog keeps what is served: without its secret, which lies beside it.
extension SourceDefinition {
    init(_ served: ServedSource, secret: Redacted<String>?) throws(ApusError) {
        let value = try JSONValue(parsing: Array(served.definition.utf8))
        guard let kind = value["type"]?.asString, let path = value["path"]?.asString else {
            throw ApusError(.schemaInvalid, "the catalog's definition of data source \"\(served.name)\" is of another Apus")
        }
        self.init(served.name, kind: Kind(rawValue: kind), path: SecretPath(shown: path, secret: secret).whole.reveal())
        prefix = value["prefix"]?.asString ?? ""
        isModule = value["as_module"]?.asBool ?? false
        isReadOnly = value["read_only"]?.asBool ?? false
        isSelfDescribed = value["self_defined"]?.asBool ?? false
        for file in try JSONValue(parsing: Array(served.files.utf8)).asArray ?? [] {
            files.append(SchemaFile(name: file["name"]?.asString ?? "", text: file["text"]?.asString ?? ""))
        }
    }

    /// `shown`: the path without secrets.
    func served(shown: String, secret: String?) -> ServedSource {
        ServedSource(
            name: name,
            definition: JSONValue.object([
                "type": .string(kind.rawValue), "path": .string(shown), "prefix": .string(prefix), "as_module": .bool(isModule),
                "read_only": .bool(isReadOnly), "self_defined": .bool(isSelfDescribed),
            ]).description,
            files: JSONValue.array(files.map { ["name": .string($0.name), "text": .string($0.text)] }).description, secret: secret)
    }
}
