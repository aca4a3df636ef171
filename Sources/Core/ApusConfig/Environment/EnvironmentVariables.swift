/// The variables of the process and of environment files as one, each with where it is from.
struct EnvironmentVariables {
    struct Value {
        var text: String
        var origin: ConfigurationOrigin
    }

    private var values: [String: Value] = [:]

    init(_ sources: ConfigurationSources, problems: inout [ConfigurationProblem]) {
        for file in sources.environmentFiles {
            for line in file.mistakes {
                problems.append(ConfigurationProblem(at: "\(file.path):\(line)", "must be NAME=VALUE, or a comment that begins with '#'"))
            }
            for entry in file.entries {
                let origin = ConfigurationOrigin.environmentFile(path: file.path, line: entry.line, variable: entry.variable)
                values[entry.variable] = Value(text: entry.text, origin: origin)
            }
        }
        for (variable, text) in sources.environment {
            values[variable] = Value(text: text, origin: .environment(variable: variable))
        }
    }

    /// Nil for one that is not there; an empty one says nothing either.
    subscript(_ variable: String) -> Value? { values[variable].flatMap { $0.text.isEmpty ? nil : $0 } }

    var sorted: [(key: String, value: Value)] { values.sorted { $0.key < $1.key } }
}
