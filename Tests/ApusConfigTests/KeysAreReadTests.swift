import ApusConfig
import TestKit
import Testing

@Suite("Every setting is read")
struct KeysAreReadTests {
    /// A setting that nothing reads is a promise that nobody keeps.
    @Test("by something else than its own table, rules and rendering")
    func read() throws {
        let table = try text(of: "\(SourceFiles.root)/Sources/Core/ApusConfig/Schema/ConfigurationKeys.swift")
        let properties = table.split(separator: "\\.").dropFirst().map { String($0.prefix { $0.isLetter || $0 == "." || $0.isNumber }) }
        #expect(properties.count == ConfigurationKeys.all.count)
        // `Configuration.swift` declares each as a nested property, so a path with a dot in it is a use there too.
        let readers = try SourceFiles.below("\(SourceFiles.root)/Sources").filter {
            !$0.path.contains("/ApusConfig/") || $0.path.hasSuffix("/Configuration.swift")
        }
        for property in properties {
            #expect(readers.contains { $0.text.contains(property) }, "nothing reads \(property)")
        }
    }
}
