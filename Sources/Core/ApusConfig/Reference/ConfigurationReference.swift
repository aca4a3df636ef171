/// The reference of all settings, made from their table: as a page to read, and as an annotated file to start from.
public enum ConfigurationReference {
    /// `docs/reference/configuration.md`.
    public static var markdown: String {
        var lines = [
            "# Configuration",
            "",
            "<!-- Made by `apus config reference`; a test compares. Change Sources/Core/ApusConfig/Schema/ConfigurationKeys.swift instead. -->",
            "",
            "A node reads one file in YAML (`--config FILE`, else `APUS_CONFIG`, else `VECTORIZER_CONFIG`, else `/etc/apus/apus.yml` if it is",
            "there), then the environment, then its flags. **Flags win over the environment, the environment over the file, the file over the",
            "defaults below.** `apus config show` prints every effective value and where it came from; `apus config check` reports everything that",
            "is wrong at once, with file, line and column.",
            "",
            "- Times are seconds (`4`, `0.5`), or carry a unit: `250ms`, `5m`, `24h`, `7d`.",
            "- Sizes are bytes (`65536`), or carry a unit: `64 KiB`, `100 MiB`, `50 GB`.",
            "- `null` means what the key's row says. In the environment, lists are separated by commas, and a listener is `HOST:PORT` or",
            "  `HOST:PORT=face+face`.",
            "- Secrets come from files or the environment, never from flags, and are never shown.",
            "- Relative paths are relative to the working directory of the process.",
            "- YAML is read by its 1.2 core schema (`no` is text, not false). Anchors, aliases, tags and duplicate keys are refused.",
            "- A Vectorizer `config.yml` is accepted as it stands: its keys are translated, or named with the reason why they have no effect.",
        ]
        for section in ConfigurationKeys.sections {
            let keys = keys(of: section.name)
            lines += ["", "## \(section.name)", "", section.summary, ""]
            lines += ["| key | default | what, and why change it |", "|---|---|---|"]
            for key in keys { lines.append(row(key)) }
        }
        lines += ["", "## Rules about several keys", ""]
        lines += [
            "- A lease is at least three renewals long, its holder's margin leaves room for two, and candidates poll at least twice in its length.",
            "- A node is suspect after at least two heartbeats (renewals of its session), and down later than suspect.",
            "- The catalog is named in one way only: `catalog.url`, `catalog.url_file` or `catalog.sqlite_path`.",
            "- `store.directory` is not set when `store.kind` is `catalog`.",
            "- Listeners have different names and addresses, and a certificate together with its key.",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    /// `Examples/apus.yml`: every key with its default, its unit and its reason.
    public static var annotatedFile: String {
        var lines = [
            "# Every setting of Apus with its default. Copy what you change; what is absent has its default.",
            "# Made by 'apus config reference --format yaml'.",
        ]
        let defaults = Configuration().tree(revealingSecrets: false)
        guard case .mapping(let sections) = defaults.content else { return "" }
        for section in sections {
            lines += ["", "# " + (ConfigurationKeys.sections.first { $0.name == section.key }?.summary ?? "")]
            append(section, path: section.key, indent: "", to: &lines)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func append(_ entry: YAMLEntry, path: String, indent: String, to lines: inout [String]) {
        if let key = ConfigurationKeys.key(path) {
            lines += wrapped("\(key.summary) \(key.reason)").map { "\(indent)# \($0)" }
            lines.append("\(indent)# \(notes(key))")
            if case .sequence(let items) = entry.value.content, !items.isEmpty {
                lines.append("\(indent)\(entry.key):")
                lines += items.map { "\(indent)  - \(YAMLWriter.inline($0))" }
            } else {
                lines.append("\(indent)\(entry.key): \(YAMLWriter.inline(entry.value))")
            }
        } else if case .mapping(let inner) = entry.value.content {
            lines.append("\(indent)\(entry.key):")
            for next in inner { append(next, path: "\(path).\(next.key)", indent: indent + "  ", to: &lines) }
        }
    }

    private static func keys(of section: String) -> [ConfigurationKey] {
        ConfigurationKeys.all.filter { $0.path == section || $0.path.hasPrefix(section + ".") }
    }

    private static func row(_ key: ConfigurationKey) -> String {
        let flag = key.flag.map { "<br>`--\($0.name) \($0.placeholder)`" } ?? ""
        let value = key.get(Configuration()).isNull ? "null: \(key.whenNull ?? "not set")" : "`\(key.value(in: Configuration()))`"
        let limit = key.constraint.map { ", \($0)" } ?? ""
        let shared = key.isShared ? " The same on all nodes." : ""
        return "| `\(key.path)`<br>`\(key.variable)`\(flag) | \(value) | \(key.summary) \(key.reason)\(shared) *\(key.type)\(limit)* |"
    }

    private static func notes(_ key: ConfigurationKey) -> String {
        var parts = [key.type + (key.constraint.map { ", \($0)" } ?? "")]
        if let whenNull = key.whenNull { parts.append("null: \(whenNull)") }
        parts.append(key.variable + (key.flag.map { ", --\($0.name)" } ?? ""))
        return parts.joined(separator: "; ")
    }

    private static func wrapped(_ text: String) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            if !lines[lines.count - 1].isEmpty, lines[lines.count - 1].count + word.count > 110 { lines.append("") }
            lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
        }
        return lines
    }
}
