import ApusConfig
import Testing

@Suite("data sources in the configuration")
struct QuerySourceTests {
    private func load(_ source: String) -> LoadedConfiguration { ApusConfigTests.load("query:\n  sources:\n    - \(source)\n") }

    @Test("a whole one")
    func whole() throws {
        let loaded = load(
            "{name: shop, type: postgres, path: \"postgres://u:[$P]@db/shop\", prefix: s, as_module: true, read_only: true, schema: [a, b]}"
        )
        #expect(loaded.errors.isEmpty)
        let source = try #require(loaded.configuration.query.sources.first)
        #expect(source.name == "shop" && source.isModule && source.isReadOnly && !source.isSelfDescribed)
        #expect(source.schema == ["a", "b"])
    }

    @Test(
        "what it cannot be",
        arguments: [
            "{name: a, type: postgres, path: \"postgres://u:secret@db/shop\"}",
            "{name: a, type: postgres, path: \"host=db password=secret\"}",
            "{name: a, type: postgres, path: \"postgres://u@db/shop\", replicas: [\"postgres://u:secret@b/shop\"]}",
            "{type: postgres, path: x}", "{name: a}", "{name: a, type: sqlite, pth: x}", "just text",
        ])
    func refused(source: String) {
        let loaded = load(source)
        #expect(!loaded.errors.isEmpty)
        #expect(!loaded.errors.contains { $0.description.contains("secret") })
    }
}
