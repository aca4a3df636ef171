public import ApusRuntime
internal import ApusTypes
internal import CLinux
internal import Glibc

/// Serves the files below one directory, and nothing else.
///
/// Each segment of the path is opened on its own, relative to the directory before it, and no symbolic link is followed: there is no
/// string that leads out, and no moment at which a link could be put in the way. Names that begin with a dot are not served.
public struct DirectoryHandler: Sendable {
    private let root: String
    private let index: String?
    private let pool: BlockingPool
    private let files: FileResponder

    /// `index` answers for a directory itself.
    public init(root: String, index: String? = "index.html", pool: BlockingPool) {
        self.root = root
        self.index = index
        self.pool = pool
        files = FileResponder(pool: pool)
    }

    /// The file at `segments`, decoded, below the root; 404 when there is none or it may not be served.
    public func response(to request: Request, segments: some Collection<String>, headers: Headers = [:]) async throws -> Response {
        var segments = Array(segments)
        if segments.last == "" { segments.removeLast() }
        let path = segments
        let (file, name) = try await pool.run(deadline: request.deadline) { [root, index] in open(path, below: root, index: index) }
        return try files.response(to: request, file: file, name: name, headers: headers)
    }
}

/// Opens the file, or the directory's index; also gives the name that says its type.
private func open(_ segments: [String], below root: String, index: String?) -> (OpenFile?, name: String) {
    var segments = segments[...]
    var directory = apus_openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    guard directory >= 0 else { return (nil, "") }
    defer { close(directory) }
    while let segment = segments.popFirst() {
        guard isPlain(segment) else { return (nil, "") }
        let next = apus_openat(directory, segment, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0)
        guard next >= 0 else { return (nil, "") }
        var status = stat()
        guard fstat(next, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            guard segments.isEmpty else {
                close(next)
                return (nil, "")
            }
            return (OpenFile(descriptor: next), segment)
        }
        close(directory)
        directory = next
    }
    guard let index else { return (nil, "") }
    return (OpenFile(descriptor: apus_openat(directory, index, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0)), index)
}

private func isPlain(_ segment: String) -> Bool {
    !segment.hasPrefix(".") && !segment.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 } && (1...255).contains(segment.utf8.count)
}
