import ApusConfig
import ApusTypes
import Testing

@Suite("Rules about several settings")
struct ConfigurationRulesTests {
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
        ])
    func rules(yaml: String, path: String) {
        let errors = load(yaml).errors
        #expect(errors.map(\.key) == [path])
        #expect(errors.first?.place == "apus.yml:1")
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
