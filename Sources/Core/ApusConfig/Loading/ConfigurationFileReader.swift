/// Walks one file's tree and applies each value it finds, collecting problems.
struct ConfigurationFileReader {
    let path: String
    let root: YAMLNode
    var loaded: LoadedConfiguration
    /// What the machine is called.
    let hostName: String?
    /// Settings that a Vectorizer file spreads over several keys.
    var vectorizer = VectorizerFile()

    mutating func read(_ entry: YAMLEntry, under section: String) {
        let written = section.isEmpty ? entry.key : "\(section).\(entry.key)"
        // Vectorizer's meaning first: `cluster.servers` is a setting of both, and tells its files more.
        if let meaning = VectorizerKeys.meaning(of: written) {
            apply(meaning, of: entry, as: written)
        } else if let key = ConfigurationKeys.key(written) {
            loaded.set(key, entry.value, .file(path: path, line: entry.mark.line))
        } else if Self.sections.contains(written) {
            switch entry.value.content {
            case .mapping(let entries): for inner in entries { read(inner, under: written) }
            case .scalar where entry.value.isNull: break
            default: complain(at: entry.value.mark, written, "must be a mapping of settings, not \(entry.value.kind)")
            }
        } else {
            complain(at: entry.mark, written, "is no setting; \(Self.suggestion(for: written))")
        }
    }

    /// Applies what only the whole file tells.
    mutating func finish() { vectorizer.finish(&self) }

    mutating func complain(at mark: YAMLMark, _ key: String, _ what: String, _ severity: ConfigurationProblem.Severity = .error) {
        loaded.problems.append(ConfigurationProblem(severity, at: "\(path):\(mark.line):\(mark.column)", key: key, what))
    }

    private mutating func apply(_ meaning: VectorizerKeys.Meaning, of entry: YAMLEntry, as written: String) {
        switch meaning {
        case .ignored(let why):
            complain(at: entry.mark, written, "is accepted and has no effect here: \(why)", .warning)
        case .translated(let target, let translate):
            do throws(ConfigurationMistake) {
                guard let key = ConfigurationKeys.key(target) else { preconditionFailure("\(written) is translated to no setting") }
                let origin = ConfigurationOrigin.vectorizerFile(path: path, line: entry.mark.line, key: written)
                try key.set(try translate(entry.value), &loaded.configuration)
                loaded.origins[target] = origin
            } catch {
                for mistake in error.all { complain(at: mistake.mark ?? entry.value.mark, written, mistake.what) }
            }
        case .combined(let part):
            var file = vectorizer
            file.note(part, entry, as: written, in: &self)
            vectorizer = file
        }
    }

    private static func suggestion(for written: String) -> String {
        let known = ConfigurationKeys.all.map(\.path) + ConfigurationKeys.sections.map(\.name)
        // The right name in the wrong section is a common slip that is far by letters.
        let name = written.split(separator: ".").last.map(String.init) ?? written
        if let near = nearest(to: written, among: known) { return "did you mean '\(near)'?" }
        let sameName = known.filter { $0.split(separator: ".").last.map(String.init) == name }
        if sameName.count == 1 { return "did you mean '\(sameName[0])'?" }
        return "'apus config reference' lists all"
    }

    /// Every prefix of a setting's path, ours and Vectorizer's.
    private static let sections: Set<String> = {
        var found: Set<String> = []
        for path in ConfigurationKeys.all.map(\.path) + VectorizerKeys.paths {
            let parts = path.split(separator: ".")
            for length in 1..<max(1, parts.count) { found.insert(parts.prefix(length).joined(separator: ".")) }
        }
        return found
    }()
}
