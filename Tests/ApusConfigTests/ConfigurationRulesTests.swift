import ApusConfig
import ApusTypes
import Testing

@Suite("Rules about several settings")
struct ConfigurationRulesTests {
    @Test("nodes agree on what they judge each other by, not on how long each may take to stop")
    func shared() throws {
        func isShared(_ path: String) throws -> Bool { try #require(ConfigurationKeys.all.first { $0.path == path }).isShared }
        #expect(try isShared("membership.down_seconds") && isShared("store.kind") && !isShared("membership.handover_seconds"))
    }

    @Test("the defaults keep all rules")
    func defaults() { #expect(Configuration().problems().isEmpty) }

    @Test(
        "each rule is broken by one change, and reported at the setting to change",
        arguments: [
            ("leases: {renewal_seconds: 1.4, holder_margin_seconds: 1}", "leases.length_seconds"),
            ("leases: {holder_margin_seconds: 2.1}", "leases.holder_margin_seconds"),
            ("leases: {poll_seconds: 2.5}", "leases.poll_seconds"),
            ("membership: {suspect_seconds: 1.9}", "membership.suspect_seconds"),
            ("membership: {down_seconds: 3}", "membership.down_seconds"),
            ("catalog: {url: 'postgresql://h/d', url_file: f}", "catalog.url"),
            ("catalog: {url_file: f, sqlite_path: p}", "catalog.sqlite_path"),
            ("store: {kind: catalog, directory: d}", "store.directory"),
            ("listeners: [{name: a, address: 'h:1'}, {name: a, address: 'h:2'}]", "listeners"),
            ("listeners: [{name: a, address: 'h:1'}, {name: b, address: 'h:1'}]", "listeners"),
            ("listeners: [{name: a, address: '0.0.0.0:5000'}, {name: b, address: '127.0.0.1:5000'}]", "listeners"),
            ("listeners: [{name: a, address: 'localhost:5000'}, {name: b, address: '0.0.0.0:5000'}]", "listeners"),
            ("listeners: [{name: a, address: '127.0.0.1:5000'}, {name: b, address: 'localhost:5000'}]", "listeners"),
            ("listeners: [{name: a, address: '[::]:5000'}, {name: b, address: '[::1]:5000'}]", "listeners"),
            ("http: {max_path_bytes: 16 KiB, max_header_bytes: 8 KiB}", "http.max_header_bytes"),
        ])
    func rules(yaml: String, path: String) {
        let errors = load(yaml).errors
        #expect(errors.map(\.key) == [path])
        #expect(errors.first?.place == "apus.yml:1")
    }

    @Test("a port may be used on several addresses of which none is all of them, and on both families")
    func severalAddresses() {
        #expect(load("listeners: [{name: a, address: '127.0.0.1:1'}, {name: b, address: '10.0.0.1:1'}]").problems.isEmpty)
        #expect(load("listeners: [{name: a, address: '0.0.0.0:1'}, {name: b, address: '[::]:1'}]").problems.isEmpty)
        #expect(load("listeners: [{name: a, address: '0.0.0.0:1'}, {name: b, address: '127.0.0.1:2'}]").problems.isEmpty)
    }

    @Test("an object is kept for longer than a follower takes to read it")
    func droppedObjects() {
        #expect(load("retention: {dropped_object_seconds: 60}").problems.isEmpty)
        #expect(load("retention: {dropped_object_seconds: 59}").errors.map(\.key) == ["retention.dropped_object_seconds"])
    }

    @Test("several listeners may ask for any free port")
    func freePorts() {
        #expect(load("listeners: [{name: a, address: 'h:0'}, {name: b, address: 'h:0'}]").problems.isEmpty)
    }
}

@Suite("Nearest match")
struct NearestTests {
    @Test(arguments: [("levle", "level"), ("fromat", "format"), ("LEVEL", "level"), ("leve", "level"), ("llevel", "level")])
    func finds(typed: String, expected: String) { #expect(nearest(to: typed, among: ["format", "level", "list"]) == expected) }

    @Test("says nothing when nothing is near")
    func silent() {
        #expect(nearest(to: "zebra", among: ["format", "level"]) == nil)
        #expect(nearest(to: "", among: ["format"]) == nil)
        #expect(nearest(to: "x", among: [] as [String]) == nil)
    }
}
