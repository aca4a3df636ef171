extension Configuration {
    /// All settings as a file that loads into the same configuration. Secrets are shown as `<redacted>` unless `revealingSecrets`.
    public func yaml(revealingSecrets: Bool = false) -> String { YAMLWriter.text(tree(revealingSecrets: revealingSecrets)) }

    func tree(revealingSecrets: Bool) -> YAMLNode {
        var root: [YAMLEntry] = []
        for key in ConfigurationKeys.all {
            let value = key.get(self)
            let shown = key.isSecret && !revealingSecrets && !value.isNull ? YAMLNode.string("<redacted>") : value
            Self.insert(shown, at: key.path.split(separator: ".").map(String.init)[...], into: &root)
        }
        return YAMLNode(.mapping(root))
    }

    private static func insert(_ value: YAMLNode, at path: ArraySlice<String>, into entries: inout [YAMLEntry]) {
        guard let name = path.first else { return }
        guard path.count > 1 else {
            entries.append(YAMLEntry(name, value))
            return
        }
        let index = entries.firstIndex { $0.key == name } ?? entries.endIndex
        if index == entries.endIndex { entries.append(YAMLEntry(name, YAMLNode(.mapping([])))) }
        guard case .mapping(var inner) = entries[index].value.content else { return }
        insert(value, at: path.dropFirst(), into: &inner)
        entries[index].value.content = .mapping(inner)
    }
}
