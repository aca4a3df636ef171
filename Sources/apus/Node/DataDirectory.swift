internal import ApusTypes
internal import Glibc

/// The directory that holds what a node keeps for itself.
enum DataDirectory {
    /// Makes the directory and its parents, for this user alone. Throws `output.uncreatable` naming the one that fails. `option`: what names another.
    static func create(_ path: String, option: String = "--data") throws(ApusError) {
        var prefix = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            prefix += part + "/"
            if mkdir(prefix, 0o700) == 0 || errno == EEXIST { continue }
            throw ApusError(
                .outputUncreatable, "the directory \(prefix) cannot be made: \(String(cString: strerror(errno)))",
                hint: "choose another with \(option), or make it and give it to this user", context: ["path": path])
        }
        guard access(path, R_OK | W_OK | X_OK) == 0 else {
            throw ApusError(
                .outputUncreatable, "the directory \(path) cannot be written by this user: \(String(cString: strerror(errno)))",
                hint: "choose another with \(option), or give it to this user", context: ["path": path])
        }
    }
}

/// The file `run.json` of the data directory while a node runs: its process and where it listens, for scripts and the command line.
enum RunFile {
    static func path(in directory: String) -> String { directory + "/run.json" }

    static func write(_ listeners: [(name: String, url: String)], into directory: String) throws(ApusError) {
        let urls = JSONObject(listeners.map { ($0.name, .string($0.url)) })
        let value: JSONValue = .object(["pid": .integer(Int64(getpid())), "listeners": .object(urls)])
        let text = value.description + "\n"
        let temporary = path(in: directory) + ".new"
        guard let file = fopen(temporary, "w") else { throw failure(temporary) }
        let isWritten = fputs(text, file) >= 0
        guard fclose(file) == 0, isWritten, rename(temporary, path(in: directory)) == 0 else { throw failure(temporary) }
    }

    /// The process that wrote the file; nil where there is none.
    static func process(in directory: String) -> Int32? {
        guard let bytes = try? FileContents.read(path(in: directory), limit: .kibibytes(64)) else { return nil }  // none, or gone just now
        return (try? JSONValue(parsing: bytes))?["pid"]?.asInteger.map { Int32(truncatingIfNeeded: $0) }
    }

    /// A file that stays behind after a crash names a process that is gone.
    static func remove(from directory: String) { unlink(path(in: directory)) }

    private static func failure(_ path: String) -> ApusError {
        ApusError(.outputUncreatable, "\(path) cannot be written: \(String(cString: strerror(errno)))", context: ["path": path])
    }
}
