internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import Synchronization
internal import TestKit

/// A directory that all nodes mount, each in its mount namespace: so each can lose it alone.
///
/// It is memory of a fixed size, that can be full. Without namespaces it is a plain directory, which nothing happens to.
final class SharedStore: Sendable {
    let path: String
    let isMounted: Bool
    private let foreign: String
    private let hanging = Mutex<[String: ChildProcess]>([:])
    /// The process of each node that lost its store: one that was started since has mounted it anew.
    private let struck = Mutex<[String: Int32]>([:])

    init(in directory: String, isMounted: Bool) async throws {
        path = directory + "/store"
        foreign = directory + "/foreign-store"
        self.isMounted = isMounted
        mkdir(path, 0o755)
        mkdir(foreign, 0o755)
        guard isMounted else { return }
        try await Commands.run("/usr/bin/mount", "-t", "tmpfs", "-o", "size=96m", "lab", path)
        // Another cluster's (docs/store-format.md).
        let (cluster, store) = (String(repeating: "c", count: 32), String(repeating: "5", count: 32))
        let identity = "apus-store 1\ncluster \(cluster)\nstore \(store)\n"
        try Commands.write(identity + "checksum \(Digest(of: identity))\n", to: foreign + "/apus-store")
    }

    /// What a node's process does before it begins.
    func mountCommand(at place: String) -> String? { isMounted ? "mkdir -p \(place) && mount --bind \(path) \(place)" : nil }

    func fill() throws {
        let descriptor = open(path + "/ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ApusError(.outputUncreatable, "the ballast cannot be written") }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        while write(descriptor, zeros, zeros.count) > 0 {}
    }

    func drainBallast() { unlink(path + "/ballast") }

    func makeReadOnly(_ node: LabNode) async throws { try await strike(node, "/usr/bin/mount", "-o", "remount,bind,ro", node.storePath) }
    func makeWritable(_ node: LabNode) async throws { try await mend(node, "/usr/bin/mount", "-o", "remount,bind,rw", node.storePath) }
    func unmount(_ node: LabNode) async throws { try await strike(node, "/usr/bin/umount", "-l", node.storePath) }
    func mount(_ node: LabNode) async throws { try await mend(node, "/usr/bin/mount", "--bind", path, node.storePath) }
    func mountForeign(_ node: LabNode) async throws { try await strike(node, "/usr/bin/mount", "--bind", foreign, node.storePath) }
    /// Takes away what was mounted over the store.
    func uncover(_ node: LabNode) async throws { try await mend(node, "/usr/bin/umount", "-l", node.storePath) }

    /// A file system over the store whose server never answers: as a dead NFS server.
    func hang(_ node: LabNode) async throws {
        guard let identifier = node.identifier else { return }
        let command = ChildProcess.Command(
            "/usr/bin/nsenter",
            [
                "-t", "\(identifier)", "-m", "--", "/usr/bin/setpriv", "--pdeathsig=KILL", try BuiltProgram.path("apus-nemesis"), "hang",
                node.storePath,
            ], environment: ["PATH": Commands.path])
        let child = try await ChildProcess.start(command, on: TestLoops.shared.first)
        hanging.withLock { $0[node.name] = child }
        struck.withLock { $0[node.name] = identifier }
    }

    func unhang(_ node: LabNode) async throws {
        guard let child = hanging.withLock({ $0.removeValue(forKey: node.name) }) else { return }
        child.send(signal: SIGKILL)
        _ = await child.wait()
        try await uncover(node)
    }

    /// What nodes have written to where the store was not: under its mount, and to another cluster's.
    func strays(of nodes: [LabNode]) -> [String] {
        guard isMounted else { return [] }
        return nodes.flatMap { node in names(in: node.storePath).map { node.storePath + "/" + $0 } }
            + names(in: foreign).filter { $0 != "apus-store" }.map { foreign + "/" + $0 }
    }

    private func names(in path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }  // its node never started
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private func strike(_ node: LabNode, _ words: String...) async throws {
        struck.withLock { $0[node.name] = node.identifier }
        try await inside(node, words)
    }

    private func mend(_ node: LabNode, _ words: String...) async throws {
        guard let struck = struck.withLock({ $0.removeValue(forKey: node.name) }), struck == node.identifier else { return }
        try await inside(node, words)
    }

    /// In the node's mount namespace; nothing to do where the node is gone, and its mounts with it.
    private func inside(_ node: LabNode, _ words: [String]) async throws {
        guard let identifier = node.identifier else { return }
        do {
            try await Commands.run(["/usr/bin/nsenter", "-t", "\(identifier)", "-m", "--"] + words)
        } catch {
            guard node.identifier == nil else { throw error }
        }
    }

    /// What `hang` runs: mounts, and waits to be killed.
    static func hangHere(at path: String) -> Never {
        let server = open("/dev/fuse", O_RDWR | O_CLOEXEC)
        guard server >= 0, Glibc.mount("hung", path, "fuse", 0, "fd=\(server),rootmode=40000,user_id=0,group_id=0") == 0 else {
            perror("hang")
            exit(70)
        }
        while true { pause() }
    }
}
