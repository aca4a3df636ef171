internal import Glibc

/// What SwiftPM builds beside the tests: programs and libraries that tests start.
public enum BuiltProgram {
    /// Where `name` is. Throws when it is not there.
    public static func path(_ name: String) throws -> String {
        var target = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &target, target.count)
        let own = String(decoding: target[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // `swift test` may run the test bundle through a helper, and names the bundle in the arguments.
        let candidates = ([own] + CommandLine.arguments.filter { $0.contains(".xctest") || !$0.hasPrefix("-") }).map {
            $0.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/" + name
        }
        guard let found = candidates.first(where: { access($0, F_OK) == 0 }) else { throw TestKitError("no \(name) at \(candidates)") }
        return found
    }
}
