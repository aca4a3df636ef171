internal import ApusTypes
internal import Glibc

/// The programs of one installed version of PostgreSQL.
struct PostgreSQLPrograms: Sendable {
    var directory: String
    /// The major version: `15`.
    var version: String

    var control: String { directory + "/pg_ctl" }
    var initialise: String { directory + "/initdb" }

    /// In `directory`, or else the newest where distributions put them, or else in `PATH`.
    static func find(in directory: String?) throws(ApusError) -> PostgreSQLPrograms {
        let candidates: [String]
        if let directory {
            candidates = [directory]
        } else {
            let versions = entries(of: "/usr/lib/postgresql").sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }
            let path = getenv("PATH").map { String(cString: $0) } ?? ""
            candidates = versions.map { "/usr/lib/postgresql/\($0)/bin" } + ["/usr/pgsql/bin"] + path.split(separator: ":").map(String.init)
        }
        for candidate in candidates {
            guard access(candidate + "/initdb", X_OK) == 0, access(candidate + "/pg_ctl", X_OK) == 0,
                let version = version(of: candidate)
            else { continue }
            return PostgreSQLPrograms(directory: candidate, version: version)
        }
        throw ApusError(
            .configurationInvalid, "this node is to host the catalog, and there is no PostgreSQL\(directory.map { " in \($0)" } ?? "")",
            hint:
                "install it (Debian and Ubuntu: apt-get install postgresql), or set catalog.binaries to the directory of initdb and pg_ctl")
    }

    /// Of the directory's name where distributions put it, else of the package's own list of settings.
    private static func version(of directory: String) -> String? {
        let parts = directory.split(separator: "/")
        if parts.last == "bin", let name = parts.dropLast().last, Int(name) != nil { return String(name) }
        guard let pipe = popen("'\(directory.map { $0 == "'" ? "'\\''" : String($0) }.joined())/initdb' --version", "r") else { return nil }
        defer { pclose(pipe) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, Int32(line.count), pipe) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let digits = text.drop { !$0.isNumber }.prefix { $0.isNumber }
        return digits.isEmpty ? nil : String(digits)
    }

    private static func entries(of path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter { !$0.hasPrefix(".") }
    }
}

/// A user of this machine.
struct ServerAccount: Sendable, Hashable {
    var name: String
    var user: UInt32
    var group: UInt32

    /// As whom the server runs: this process's user, and for root, as whom it refuses to, the one that its package makes.
    static func suitable() throws(ApusError) -> ServerAccount {
        guard geteuid() == 0 else {
            guard let current else { throw ApusError(.configurationInvalid, "the user \(geteuid()) has no name, which PostgreSQL needs") }
            return current
        }
        guard let found = getpwnam("postgres") else {
            throw ApusError(
                .configurationInvalid, "PostgreSQL does not run as root, and there is no user 'postgres'",
                hint: "install the distribution's package, which makes it, or run the node as another user")
        }
        return ServerAccount(found.pointee)
    }

    static var current: ServerAccount? { getpwuid(geteuid()).map { ServerAccount($0.pointee) } }

    private init(_ entry: passwd) {
        name = String(cString: entry.pw_name)
        user = entry.pw_uid
        group = entry.pw_gid
    }
}

/// Small text files, whole.
enum TextFile {
    /// Nil for one that cannot be read.
    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0, bytes.count < 1 << 20 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Its last 4 KiB.
    static func tail(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        if fseek(file, -4096, SEEK_END) != 0 { rewind(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws(ApusError) {
        let temporary = path + ".new"
        guard let file = fopen(temporary, "we") else { throw failure(path) }
        let isWritten = fputs(text, file) >= 0
        guard fclose(file) == 0, isWritten, rename(temporary, path) == 0 else { throw failure(path) }
    }

    private static func failure(_ path: String) -> ApusError {
        ApusError(.outputUncreatable, "cannot write \(path): \(String(cString: strerror(errno)))")
    }
}
