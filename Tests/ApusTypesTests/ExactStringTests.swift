import ApusTypes
import Testing

/// What Swift takes for one string, and nobody else does.
@Suite("exact strings")
struct ExactStringTests {
    let composed = "\u{e9}"
    let decomposed = "e\u{301}"

    @Test("names that only look alike are different")
    func names() {
        #expect(composed == decomposed)  // the reason
        #expect(CollectionName(composed) != CollectionName(decomposed) && NodeName(composed) != NodeName(decomposed))
        #expect(CollectionName(composed) == CollectionName("\u{e9}"))
        #expect([CollectionName(composed): 1, CollectionName(decomposed): 2].count == 2)
        // By bytes: U+FF5E is one unit in UTF-16 and sorts behind the two of U+1F600 there.
        #expect(CollectionName("\u{ff5e}") < CollectionName("\u{1f600}") && CollectionName("a") < CollectionName("ab"))
    }

    @Test("members whose keys only look alike are different members")
    func members() throws {
        let text = Array("{\"\(composed)\":1,\"\(decomposed)\":2}".utf8)
        var object = try #require(try JSONValue(parsing: text).asObject)
        #expect(object.count == 2 && object[composed] == 1 && object[decomposed] == 2)
        #expect(JSONValue.object(object).serialized() == text)
        object[decomposed] = nil
        #expect(object.map(\.key).map { Array($0.utf8) } == [[0xc3, 0xa9]] && object[composed] == 1)
    }
}
