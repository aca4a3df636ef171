import ApusTypes
import Testing

@Suite("sealed secrets")
struct SecretRingTests {
    private let ring = SecretRing([Redacted("first key, long enough")])!

    @Test("a secret opens for what it was sealed for, with its key alone")
    func opens() throws {
        let sealed = ring.seal(Redacted("pässwörd"), for: "data_source a")
        #expect(try ring.open(sealed, for: "data_source a").reveal() == "pässwörd")
        #expect(!sealed.contains("pässwörd") && sealed.hasPrefix("v1.\(ring.keyIDs[0])."))
        #expect(ring.seal(Redacted("pässwörd"), for: "data_source a") != sealed)
        let moved = #expect(throws: ApusError.self) { try ring.open(sealed, for: "data_source b") }
        #expect(moved?.code == .secretDamaged)
        let stranger = SecretRing([Redacted("another key")])!
        let unknown = #expect(throws: ApusError.self) { try stranger.open(sealed, for: "data_source a") }
        #expect(unknown?.code == .secretKeyUnknown && unknown?.summary.contains(ring.keyIDs[0]) == true)
    }

    @Test("every changed digit is found")
    func damaged() throws {
        let sealed = Array(ring.seal(Redacted("x"), for: "p").utf8)
        for index in sealed.indices {
            var other = sealed
            other[index] = other[index] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
            #expect(throws: ApusError.self) { try ring.open(String(decoding: other, as: UTF8.self), for: "p") }
        }
        for text in ["", "v1", "v1...", "v2.a.b.c", "v1.\(ring.keyIDs[0]).00.00"] {
            #expect(throws: ApusError.self) { try ring.open(text, for: "p") }
        }
    }

    @Test("with both keys what the old one sealed opens, and is sealed under the new one")
    func rotation() throws {
        let both = SecretRing([Redacted("second key, long enough"), Redacted("first key, long enough")])!
        let sealed = ring.seal(Redacted("x"), for: "p")
        #expect(try both.open(sealed, for: "p").reveal() == "x")
        let anew = try #require(try both.resealed(sealed))
        #expect(try both.resealed(anew) == nil)
        let new = SecretRing([Redacted("second key, long enough")])!
        #expect(try new.open(anew, for: "p").reveal() == "x")
        #expect(throws: ApusError.self) { try new.requireKeys(of: [anew, sealed]) }
        try both.requireKeys(of: [anew, sealed])
    }
}
