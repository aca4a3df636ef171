internal import ApusGraphQL

extension SchemaFile {
    /// The text without the definitions that need (`@dependency`) one of these sources: blank in their places, so that what is left stands
    /// where it stood. What an extension adds to other sources comes back when the missing one does. A text that is no schema stays as it is.
    public func without(dependentsOn isMissing: (String) -> Bool) -> SchemaFile {
        guard let document = try? GraphQLDocument(parsing: text, limits: .schema) else { return self }  // reading it says what is wrong
        var bytes = document.source.bytes
        for node in document.definitions {
            let needed = document.directives(of: node).filter { document.name(of: $0) == "dependency" }.compactMap { directive in
                document.arguments(of: directive).first { document.name(of: $0) == "name" }.map {
                    document.string(of: document.value(of: $0))
                }
            }
            guard needed.contains(where: isMissing) else { continue }
            for index in document.range(of: node) where bytes[index] != UInt8(ascii: "\n") { bytes[index] = UInt8(ascii: " ") }
        }
        return SchemaFile(name: name, text: String(decoding: bytes, as: UTF8.self))
    }
}
