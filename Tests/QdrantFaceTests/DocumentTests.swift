import Foundation
import Testing

@Suite("What docs/qdrant.md says")
struct DocumentTests {
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    /// A route that nobody can read about is found by reading the sources, and one that is gone by its reader.
    @Test("every route is named, with its method, and none that is not there")
    func routes() throws {
        let folder = URL(fileURLWithPath: Self.root + "/Sources/Faces/QdrantFace")
        var served: Set<String> = []
        let method = /\.(?<method>get|put|post|patch|delete), "(?<path>\/[^"]*)"/
        for case let file as URL in try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: method) { served.insert("\(match.method.uppercased()) \(match.path)") }
        }
        // Those whose path is in a constant.
        served.formUnion(["GET", "POST"].map { "\($0) /collections/{collection}/snapshots" })
        served.formUnion(["/", "/healthz", "/livez", "/readyz"].map { "GET \($0)" })
        served.formUnion(["PUT /collections/{collection}/shards", "POST /collections/{collection}/shards/delete"])
        #expect(served.count > 45)
        let document = try String(contentsOfFile: Self.root + "/docs/qdrant.md", encoding: .utf8)
        let named = Set(document.matches(of: /`(?<route>(?:GET|PUT|POST|PATCH|DELETE) \/[^`]*)`/).map { String($0.route) })
        #expect(served.subtracting(named).sorted() == [], "not described")
        #expect(named.subtracting(served).sorted() == [], "described, and not served")
    }
}
