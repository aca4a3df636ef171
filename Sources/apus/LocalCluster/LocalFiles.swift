internal import ApusTypes
internal import Glibc

/// The small files of a local cluster.
enum LocalFiles {
    /// Held by the one `apus up` that works on the directory; the system lets go of it however that ends. Throws `node.alive`, and
    /// `config.invalid` for a directory in which somebody keeps something else.
    static func lock(_ plan: LocalClusterPlan) throws(ApusError) -> Int32 {
        try refuseForeign(plan)
        try DataDirectory.create(plan.directory, option: "--data-dir")
        let descriptor = open(plan.lockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ApusError(.outputUncreatable, "cannot write \(plan.lockFile): \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw ApusError(
                .nodeAlive, "another 'apus up' runs in \(plan.directory)", hint: "stop it, or choose another place with --data-dir")
        }
        return descriptor
    }

    /// The lock is older than the mark, where a first run was cut short.
    static func refuseForeign(_ plan: LocalClusterPlan) throws(ApusError) {
        guard !FileContents.exists(plan.markFile), !FileContents.exists(plan.lockFile), let other = FileTree.entries(plan.directory).first
        else { return }
        throw ApusError(
            .configurationInvalid, "\(plan.directory) is not a local cluster's, and holds something else: \(other)",
            hint: "name an empty or a new directory with --data-dir")
    }

    /// Makes what is not there yet, and gives the catalog's password. Throws `config.invalid` for a directory of a cluster of the other kind,
    /// and for one that is in use for something else.
    static func prepare(_ plan: LocalClusterPlan) throws(ApusError) -> String {
        if let kind = try kind(of: plan), kind != plan.kind {
            let needed = kind == "sqlite" ? "--nodes 1" : "--nodes 2 or more"
            throw ApusError(
                .configurationInvalid, "the cluster in \(plan.directory) has its catalog in \(kind)",
                hint: "\(needed), --fresh to begin anew, or another --data-dir")
        }
        try write(JSONValue.object(["catalog": .string(plan.kind)]).description, to: plan.markFile)
        if !FileContents.exists(plan.settingsFile) {
            try write("# Settings of all nodes of this local cluster; 'apus config reference' lists them.\n{}", to: plan.settingsFile)
        }
        guard let port = plan.catalogPort else { return "" }
        if !FileContents.exists(plan.secretFile) { try write(random(), to: plan.secretFile) }
        // The password stays what PostgreSQL knows; the port may be another one today.
        let before = FileContents.exists(plan.catalogFile) ? try text(of: plan.catalogFile) : ""
        let password = before.split(separator: "@").first?.split(separator: ":").last.map(String.init) ?? random()
        try write("postgresql://apus:\(password)@127.0.0.1:\(port)/apus?sslmode=disable", to: plan.catalogFile)
        return password
    }

    /// Removes what earlier runs have made. Throws `config.invalid` for a directory that is not a local cluster's.
    static func removeAll(of plan: LocalClusterPlan) throws(ApusError) {
        let names = FileTree.entries(plan.directory)
        guard try kind(of: plan) != nil else {
            guard plan.parts(among: names).isEmpty else {
                throw ApusError(.configurationInvalid, "\(plan.directory) is not a local cluster's: nothing in it is removed")
            }
            return
        }
        // The mark last: what is cut short can be repeated.
        for name in plan.parts(among: names).sorted(by: { ($0 == "up.json" ? 1 : 0) < ($1 == "up.json" ? 1 : 0) }) {
            FileTree.remove("\(plan.directory)/\(name)")
        }
    }

    private static func kind(of plan: LocalClusterPlan) throws(ApusError) -> String? {
        guard FileContents.exists(plan.markFile) else { return nil }
        return (try? JSONValue(parsing: Array(try text(of: plan.markFile).utf8)))?["catalog"]?.asString
    }

    private static func text(of path: String) throws(ApusError) -> String {
        String(decoding: try FileContents.read(path, limit: .kibibytes(64)), as: UTF8.self)
    }

    private static func write(_ text: String, to path: String) throws(ApusError) {
        try FileContents.write(Array("\(text)\n".utf8), to: path, mode: 0o600)
    }

    private static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return hexadecimal((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
}
