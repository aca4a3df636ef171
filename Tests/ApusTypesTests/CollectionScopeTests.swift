import ApusTypes
import Testing

@Suite("collections of a key")
struct CollectionScopeTests {
    @Test("a name is the collection's to the byte, or its beginning before *")
    func contains() throws {
        let scope = try CollectionScope(["docs", "shop-*", "ä"])
        for name in ["docs", "shop-", "shop-2026", "ä"] { #expect(scope.contains(CollectionName(name)), "\(name)") }
        for name in ["doc", "docs2", "shop", "Shop-1", "a\u{308}", ""] { #expect(!scope.contains(CollectionName(name)), "\(name)") }
        #expect(try CollectionScope(["*"]).contains("anything") && CollectionScope.everything.contains("anything"))
        #expect(try !CollectionScope(["*"]).isEverything)
        let error = #expect(throws: ApusError.self) { try scope.require("other") }
        #expect(error?.code == .forbidden && error?.context["collection"] == "other")
    }

    @Test("a list is bounded, and holds what collections can be called", arguments: [[], [""], ["a*b"], ["**"], ["a/b"], ["a\n"]])
    func refused(patterns: [String]) {
        let error = #expect(throws: ApusError.self) { try CollectionScope(patterns) }
        #expect(error?.code == .requestInvalid && error?.context["field"] == "collections")
    }

    @Test("a key for some collections reaches nothing that is all collections', whatever its role")
    func reach() throws {
        let some = Principal(id: "k", role: .writer, scope: try CollectionScope(["*"]))
        #expect(throws: Never.self) { try some.require(.writer, over: .collections) }
        #expect(throws: ApusError.self) { try some.require(.reader, over: .everything) }
        #expect(throws: ApusError.self) { try some.require(.administrator, over: .collections) }
        #expect(throws: Never.self) { try Principal.local.require(.administrator, over: .everything) }
    }
}
