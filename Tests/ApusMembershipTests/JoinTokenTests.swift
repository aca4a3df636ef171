import ApusMembership
import ApusTypes
import TestKit
import Testing

@Suite("Join tokens")
struct JoinTokenTests {
    private let secret = Redacted("a secret of these tests")
    private let end = WallTime(millisecondsSinceEpoch: 1_800_000_000_000)

    private func token(_ generator: inout SeededGenerator) -> JoinToken {
        JoinToken(secret: secret, expires: end, nodes: ["http://10.0.0.1:15002"], using: &generator)
    }

    @Test("a token survives as text, and none of its letters may be lost or changed unnoticed by the proof")
    func text() throws {
        var generator = SeededGenerator(seed: 1)
        let made = token(&generator)
        #expect(JoinToken(text: made.text) == made)
        #expect(!made.text.contains(secret.reveal()))
        #expect(JoinToken(text: String(made.text.dropLast())) == nil)
        #expect(
            JoinToken(text: "") == nil && JoinToken(text: "apus1.zz") == nil && JoinToken(text: "apus2" + made.text.dropFirst(5)) == nil)
        for place in made.text.indices.dropFirst(6) {
            var text = made.text
            text.replaceSubrange(place...place, with: text[place] == "1" ? "2" : "1")
            guard let other = JoinToken(text: text), other.nodes == made.nodes, other != made else { continue }
            let key = JoinToken.key(secret, id: other.id, expires: other.expires)
            #expect(!JoinRequest(other, isTrial: false, using: &generator).isProved(by: key))
        }
    }

    @Test("a request is proved by its own token's key alone, and for what it says")
    func proof() throws {
        var generator = SeededGenerator(seed: 2)
        let made = token(&generator)
        let key = JoinToken.key(secret, id: made.id, expires: made.expires)
        let request = try #require(
            JoinRequest(JSONValue(parsing: Array(JoinRequest(made, isTrial: true, using: &generator).value.description.utf8))))
        #expect(request.isProved(by: key))
        #expect(!request.isProved(by: JoinToken.key(Redacted("another secret of tests"), id: made.id, expires: made.expires)))
        for change in [
            { $0.isTrial = false }, { $0.nonce = String($0.nonce.reversed()) }, { $0.id = "0000000000000000" },
            { $0.expires = WallTime(millisecondsSinceEpoch: $0.expires.millisecondsSinceEpoch + 1) }, { $0.proof = [] },
        ] as [(inout JoinRequest) -> Void] {
            var changed = request
            change(&changed)
            #expect(!changed.isProved(by: key))
        }
    }

    @Test("a reply is sealed for one request")
    func sealing() throws {
        var generator = SeededGenerator(seed: 3)
        let made = token(&generator)
        let (one, other) = (JoinRequest(made, isTrial: false, using: &generator), JoinRequest(made, isTrial: false, using: &generator))
        let message = Array("the cluster's secret".utf8)
        let sealed = one.replyKey(made.key).seal(message)
        #expect(one.replyKey(made.key).open(sealed) == message)
        #expect(other.replyKey(made.key).open(sealed) == nil)
        #expect(one.replyKey(made.key).seal(message) != sealed)
        for index in sealed.indices {
            var damaged = sealed
            damaged[index] ^= 1
            #expect(one.replyKey(made.key).open(damaged) == nil)
        }
        #expect(one.replyKey(made.key).open(Array(sealed.prefix(27))) == nil && one.replyKey(made.key).open([]) == nil)
        #expect(made.key.open(made.key.seal([])) == [])
    }
}
