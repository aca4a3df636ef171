import ApusRender
import Foundation
import Testing

/// The tables are compared with the documents, which other tests compare with the faces: a call that is gone may not stay in them, and a
/// new one that only reads may not be missing.
@Suite("Routes that a balancer may try twice")
struct RouteTableTests {
    /// A call with the role that the document says it needs, and the section that it is in.
    struct Documented {
        var call: String
        var role: String
        var section: String
    }

    static func calls(in document: String) throws -> [Documented] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        var section = ""
        return try String(contentsOf: root.appending(path: "docs/\(document)"), encoding: .utf8).split(separator: "\n").flatMap {
            line -> [Documented] in
            if line.hasPrefix("## ") { section = String(line.dropFirst(3)) }
            let cells = line.split(separator: " | ").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: "| ")) }
            guard let roles = cells.last?.split(separator: ", ").map(String.init), !roles.isEmpty else { return [] }
            let calls = cells.first?.split(separator: "`").map(String.init).filter { $0.contains(" /") } ?? []
            return calls.enumerated().map { index, call in
                // Of several calls the last ones share the last role.
                Documented(call: call, role: roles[min(index, roles.count - 1)], section: section)
            }
        }
    }

    static func names(_ patterns: [CallPattern]) -> Set<String> { Set(patterns.map(\.description)) }

    @Test(
        "every POST for readers is a read, and nothing else is",
        arguments: [("http-api.md", RouteTable.vectorizer), ("qdrant.md", .qdrant)])
    func reads(document: String, table: RouteTable) throws {
        let calls = try Self.calls(in: document).filter { $0.call.hasPrefix("POST ") && $0.role == "reader" }
        #expect(calls.count >= 7)
        #expect(Self.names(table.reads) == Set(calls.map(\.call)))
    }

    @Test("every write of points is one, except those that do not know their repetition")
    func writes() throws {
        // A second move would find nothing where the first one took everything.
        let transfers: Set = ["POST /collections/{name}/vectors/copy", "POST /collections/{name}/vectors/move"]
        let vectorizer = try Self.calls(in: "http-api.md").filter { $0.role == "writer" && $0.section == "Points" }.map(\.call)
        #expect(Self.names(RouteTable.vectorizer.writes) == Set(vectorizer).subtracting(transfers))
        let qdrant = try Self.calls(in: "qdrant.md").filter { $0.role == "writer" && $0.call.contains("/points") }.map(\.call)
        #expect(Self.names(RouteTable.qdrant.writes) == Set(qdrant))
    }

    @Test("every stream is a call that is there")
    func streams() throws {
        let calls = Set(try Self.calls(in: "qdrant.md").map(\.call))
        #expect(!RouteTable.qdrant.streams.isEmpty)
        #expect(Self.names(RouteTable.qdrant.streams).isSubset(of: calls))
    }

    @Test("tables are put together and below a prefix")
    func composition() {
        let table = RouteTable(reads: ["POST /a"]) + RouteTable(reads: ["POST /b/{c}"], streams: ["GET /d"]).below("/x")
        #expect(table == RouteTable(reads: ["POST /a", "POST /x/b/{c}"], streams: ["GET /x/d"]))
    }
}
