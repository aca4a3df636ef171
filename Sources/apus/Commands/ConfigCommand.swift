internal import ApusConfig
internal import ApusTypes

enum ConfigCommand {
    static let command: Command = Command(
        name: "config", summary: "Show and check the configuration.",
        subcommands: [show, check, reference])

    private static let changed = Option.flag("changed", "Only values that differ from the default or were set.")

    private static let show: Command = Command(
        name: "show", summary: "Print every effective value and where it came from.",
        discussion:
            "Takes the same options as 'apus node', so that it shows what a node started with them would use. Secrets are not shown.",
        arguments: [Argument(name: "KEY", help: "Only this key, or the keys of this section.", isRequired: false)],
        options: NodeOptions.all + [changed],
        examples: [
            .init("apus config show --config apus.yml", "what a node with this file would use"),
            .init("APUS_LOG_LEVEL=debug apus config show log", "one section; the environment wins over the file"),
        ],
        run: { invocation in
            let loaded = try NodeOptions.load(invocation)
            let wanted = invocation.argument(0)
            let keys = ConfigurationKeys.all.filter { key in
                guard let wanted else { return true }
                return key.path == wanted || key.path.hasPrefix(wanted + ".")
            }
            if let wanted, keys.isEmpty {
                let near = nearest(to: wanted, among: ConfigurationKeys.all.map(\.path) + ConfigurationKeys.sections.map(\.name))
                throw ApusError(.usage, "'\(wanted)' is no setting" + (near.map { "; did you mean '\($0)'?" } ?? ""))
            }
            let shown = keys.filter { !invocation.isSet(changed) || loaded.origin(of: $0.path) != .builtIn }
            if invocation.wantsJSON {
                invocation.printJSON(document(shown, loaded))
            } else {
                var table = Table(header: ["KEY", "VALUE", "FROM"])
                table.rows = shown.map { [$0.path, $0.shown(in: loaded.configuration), loaded.origin(of: $0.path).description] }
                table.lines(invocation.terminal).forEach { invocation.terminal.print($0) }
                if keys.contains(where: { $0.path.hasPrefix("catalog.") }) {
                    place(loaded.configuration).map { invocation.terminal.print($0) }
                }
            }
            loaded.warnings.forEach { invocation.terminal.note("warning: \($0)") }
            _ = try loaded.validated()
            return .success
        })

    /// What follows from several settings, the servers of a cluster among them; nil where one of them says it.
    private static func place(_ configuration: Configuration) -> String? {
        switch configuration.catalogPlace {
        case .url: nil
        case .file: "so the catalog is SQLite, in a file of this node"
        case .hosted(let address): "so the catalog is a PostgreSQL that this node hosts at \(address)"
        case .peer(let address): "so the catalog is a PostgreSQL that another node hosts at \(address)"
        }
    }

    private static func document(_ keys: [ConfigurationKey], _ loaded: LoadedConfiguration) -> JSONObject {
        var settings = JSONObject()
        for key in keys {
            settings[key.path] = .object([
                "value": key.json(in: loaded.configuration), "from": .string(loaded.origin(of: key.path).description),
            ])
        }
        return ["settings": .object(settings), "problems": problems(loaded)]
    }

    private static func problems(_ loaded: LoadedConfiguration) -> JSONValue {
        .array(
            loaded.problems.map { problem in
                .object([
                    "severity": .string(problem.severity.rawValue), "place": .string(problem.place),
                    "key": problem.key.map(JSONValue.string) ?? .null, "what": .string(problem.what),
                ])
            })
    }

    private static let check: Command = Command(
        name: "check", summary: "Check a configuration and report everything that is wrong, at once.",
        discussion: """
            Looks into the files that the configuration names too: the catalog's URL, certificates and keys. \
            Exits with 78 when there is an error; warnings alone are fine.
            """,
        options: NodeOptions.all,
        examples: [.init("apus config check --config /etc/apus/apus.yml", "before a restart")],
        run: { invocation in
            var loaded = try NodeOptions.load(invocation)
            NodeOptions.checkFiles(&loaded)
            if invocation.wantsJSON {
                invocation.printJSON(["ok": .bool(loaded.errors.isEmpty), "problems": problems(loaded)])
            } else {
                for problem in loaded.problems {
                    let isError = problem.severity == .error
                    invocation.terminal.print(
                        "\(invocation.terminal.styled(problem.severity.rawValue, isError ? .red : .yellow)): \(problem)")
                }
                let errors = loaded.errors.count, warnings = loaded.warnings.count
                let noted = Self.count(warnings, "warning")
                invocation.terminal.print(errors == 0 ? "ok (\(noted))" : "\(Self.count(errors, "error")), \(noted)")
            }
            return loaded.errors.isEmpty ? .success : .configuration
        })

    private static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    private static let format = Option.value("format", "FORMAT", .choice(["markdown", "yaml"]), "A page to read, or a file to start from.")

    private static let reference: Command = Command(
        name: "reference", summary: "Print the reference of every setting.",
        options: [format],
        examples: [
            .init("apus config reference --format yaml > apus.yml", "a file with every setting, its default and its reason")
        ],
        run: { invocation in
            let text = invocation.text(format) == "yaml" ? ConfigurationReference.annotatedFile : ConfigurationReference.markdown
            if invocation.wantsJSON {
                invocation.printJSON([
                    "settings": .array(
                        ConfigurationKeys.all.map { key in
                            .object([
                                "path": .string(key.path), "type": .string(key.type),
                                "constraint": key.constraint.map(JSONValue.string) ?? .null,
                                "default": key.json(in: Configuration()), "variable": .string(key.variable),
                                "flag": key.flag.map { .string("--" + $0.name) } ?? .null, "summary": .string(key.summary),
                                "reason": .string(key.reason),
                            ])
                        })
                ])
            } else {
                Terminal.write(text, to: 1)
            }
            return .success
        })
}
