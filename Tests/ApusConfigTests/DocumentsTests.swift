import Foundation
import TestKit
import Testing

@Suite("What the documents say")
struct DocumentsTests {
    /// A route that nobody can read about is found by reading the sources, and one that is gone by its reader.
    @Test("docs/http-api.md names every route, and none that is not there")
    func routes() throws {
        let faces = try SourceFiles.below("\(SourceFiles.root)/Sources/Faces")
        var served: Set<String> = []
        for face in faces where face.text.contains("router") {
            for line in face.text.split(separator: "\n") where !line.contains("///") {
                // Paths are the literals that begin with a slash.
                for literal in line.split(separator: "\"", omittingEmptySubsequences: false).enumerated() where literal.offset % 2 == 1 {
                    guard literal.element.hasPrefix("/"), literal.element.count > 1, !literal.element.contains("\\") else { continue }
                    served.insert(String(literal.element))
                }
            }
        }
        #expect(served.count > 40)
        let document = try text(of: "\(SourceFiles.root)/docs/http-api.md")
        let named = Set(
            document.split(separator: "`").filter {
                $0.hasPrefix("/") || ["GET /", "POST /", "PUT /", "PATCH /", "DELETE /"].contains(where: $0.hasPrefix)
            }
            .map { String($0.drop { $0 != "/" }) })
        for path in served.sorted() where !Self.prefixes.contains(path) { #expect(named.contains(path), "\(path) is not described") }
        for path in named.sorted() where !served.contains(path) {
            #expect(Self.prefixes.contains(path), "\(path) is described, and not served")
        }
    }

    @Test("who starts a cluster from files reads how its other nodes come by the secret, where the files are spoken of")
    func secret() throws {
        let guide = try text(of: "\(SourceFiles.root)/docs/cluster.md")
        let section = try #require(guide.components(separatedBy: "### The cluster's secret\n").dropFirst().first)
        let own = section.components(separatedBy: "\n#")[0]
        for way in ["`cluster.secret`", "`APUS_CLUSTER_SECRET`", "`apus join`", "`join.secret_missing`"] {
            #expect(own.contains(way), "\(way)")
        }
        let files = try #require(guide.split(separator: "\n- ").first { $0.hasPrefix("**A Vectorizer cluster file**") })
        #expect(files.contains("#the-clusters-secret"))
        let readme = try text(of: "\(SourceFiles.root)/README.md")
        #expect(readme.contains("docs/cluster.md#the-clusters-secret"))
    }

    /// Places that paths begin with.
    private static let prefixes: Set<String> = ["/api", "/api/", "/health/", "/health/…"]
}
