internal import ApusTypes
internal import Glibc

/// Directories with what is in them.
enum FileTree {
    /// Removes a file or a directory and all below it; links are removed, not followed. What cannot be removed is left.
    static func remove(_ path: String) {
        for name in isDirectory(path) ? entries(path) : [] { remove("\(path)/\(name)") }
        _ = Glibc.remove(path)
    }

    /// The names in a directory, without `.` and `..`; none where there is no directory.
    static func entries(_ path: String) -> [String] {
        guard let handle = opendir(path) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The files of a schema: a file is one, of a directory those that are SDL by their names.
    static func schemaFiles(_ path: String) -> [String] {
        let names = entries(path)
        return names.isEmpty ? [path] : names.filter { $0.hasSuffix(".graphql") }.map { "\(path)/\($0)" }
    }

    private static func isDirectory(_ path: String) -> Bool {
        var facts = stat()
        return lstat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
    }
}
