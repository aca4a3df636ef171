import ApusConfig
import TestKit
import Testing

@Suite("Settings that texts name")
struct HintsTests {
    /// Names that are written as a setting's and are none, each with what it is.
    private static let others: Set<String> = [
        "node.silent",  // a finding of the doctor
        "store.id",  // a row of the catalog's settings
        "catalog.sqlite",  // a file
        "cluster.env",  // a file of Graphistry's
        "vectors.astype",  // a call of NumPy in a help text
        "query.fusion", "query.rrf.weights", "query.recommend.positive",  // members of Qdrant's requests
        "query.graphql",  // a file in help texts
        "query.md",  // a document
        // Placeholders of schemas.
        "auth.user_id", "auth.user_id_int", "auth.user_name", "auth.role", "auth.auth_type", "auth.provider", "auth.impersonated_by_",
        "query.schema", "query.access", "query.definition", "query.schema_standing",  // topics of the feed, and a call of nodes
    ]

    @Test("are settings: an operator who follows a hint finds the key")
    func named() throws {
        let sections = Set(ConfigurationKeys.sections.map(\.name))
        let paths = ConfigurationKeys.all.map(\.path)
        // A section may be named too.
        let known = Set(paths).union(paths.map { $0.split(separator: ".").dropLast().joined(separator: ".") })
        var seen = 0
        for source in try SourceFiles.below("\(SourceFiles.root)/Sources") {
            let file = String(source.path.dropFirst("\(SourceFiles.root)/Sources/".count))
            // Vectorizer's own keys look like ours, and are tested with their table. Error codes and the names of its calls do, too.
            if file.contains("ApusConfig/Vectorizer/") || file.hasSuffix("Errors/ErrorCode.swift") { continue }
            if file.contains("VectorizerFace/RPC/") { continue }
            for line in source.text.split(separator: "\n") where line.contains("\"") {
                for match in Self.literals(in: String(line)).matches(of: /\b([a-z]+)((?:\.[a-z_]+)+)\b/)
                where sections.contains(String(match.1)) {
                    let name = String(match.0)
                    if Self.others.contains(name) { continue }
                    seen += 1
                    #expect(known.contains(name), "\(file) names \(name): \(line)")
                }
            }
        }
        #expect(seen > 60, "the search finds what it looks for")
    }

    /// What stands in the string literals of a line, without what is interpolated.
    private static func literals(in line: String) -> String {
        var found = ""
        var depth = 0
        var isInside = false
        var previous: Character = " "
        for character in line {
            if depth > 0 {
                if character == "(" { depth += 1 } else if character == ")" { depth -= 1 }
                if depth == 0 { found.append(" ") }
            } else if isInside, previous == "\\", character == "(" {
                depth = 1
            } else if character == "\"", previous != "\\" {
                isInside.toggle()
                found.append(" ")
            } else if isInside {
                found.append(character)
            }
            previous = character
        }
        return found
    }
}
