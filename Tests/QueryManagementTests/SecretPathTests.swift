import ApusTypes
import Testing

@testable import ApusQuery

@Suite("secrets in paths")
struct SecretPathTests {
    @Test(
        "what stands for a password is split off, and put back in its place",
        arguments: [
            ("postgres://u:p@h:5432/d?sslmode=require", "postgres://u@h:5432/d?sslmode=require", true),
            ("postgres://u:p:w@@h/d", "postgres://u@h/d", true),
            ("postgres://u@h/d", "postgres://u@h/d", false),
            ("postgres://u:[$PW]@h/d", "postgres://u:[$PW]@h/d", false),
            ("postgres://[$USER]:x@[$HOST]/d", "postgres://[$USER]@[$HOST]/d", true),
            ("postgres://u:@h/d", "postgres://u:@h/d", false),
            ("https://api/base?token=t&x=1", "https://api/base?x=1", true),
            ("grpc://h:1/d?auth_token=t", "grpc://h:1/d", true),
            ("https://h/p?x-hugr-security=%7B%7D&x-hugr-server=s#f", "https://h/p?x-hugr-server=s#f", true),
            ("host=h password=p user=u", "host=h user=u", true),
            ("/data/store.db", "/data/store.db", false), ("", "", false), (":memory:", ":memory:", false),
            ("s3://bucket/a:b@c/file.duckdb", "s3://bucket/a:b@c/file.duckdb", false),
        ])
    func split(path: String, shown: String, isSecret: Bool) {
        let split = SecretPath(path)
        #expect(split.shown == shown)
        #expect((split.secret != nil) == isSecret)
        // Parameters may come back in another order.
        let characters = { (text: String) in text.split { "?&# ".contains($0) }.sorted() }
        #expect(characters(split.whole.reveal()) == characters(path))
        #expect(SecretPath(split.shown).secret == nil)
    }

    @Test("another server, or another user, is another target")
    func target() {
        #expect(SecretPath("postgres://u@h:1/a").target == SecretPath("postgres://u@h:1/b?x=1").target)
        #expect(SecretPath("postgres://u@h:1/a").target != SecretPath("postgres://u@evil:1/a").target)
        #expect(SecretPath("postgres://u@h:1/a").target != SecretPath("postgres://v@h:1/a").target)
        #expect(SecretPath("host=h user=u dbname=d").target == SecretPath("host=h user=u dbname=e").target)
        #expect(SecretPath("host=h user=u").target != SecretPath("host=g user=u").target)
    }
}
