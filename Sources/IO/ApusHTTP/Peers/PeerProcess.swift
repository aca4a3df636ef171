internal import ApusRuntime
internal import ApusTypes
internal import CLinux
internal import Glibc
internal import Synchronization

/// What the process behind a peer's socket does besides asking us.
public enum PeerProcess: Sendable, Hashable {
    /// It serves nobody: a command line, a script. Or it is the node itself.
    case client
    /// It takes connections, so it may speak for anybody: a proxy, a relay, an application's server.
    case server(name: String)
    /// The system does not show it, as another user's process is shown to root only.
    case hidden
}

/// Finds the processes of peers, and remembers what it found for as long as the same socket is there.
final class PeerProcesses: Sendable {
    private static let pool = BlockingPool(name: "peers", threads: 2, queueLimit: 256)
    /// Sockets that are remembered; beyond it, all are forgotten and found anew.
    private static let limit = 4096

    private struct State {
        /// By the socket's cookie.
        var known: [UInt64: PeerProcess] = [:]
        /// Whose sockets were asked about last: a program that opens many connections is found at once.
        var recent: [Int32] = []
    }

    private let state = Mutex(State())

    func process(of peer: PeerSocket) async -> PeerProcess {
        let (known, recent) = state.withLock { ($0.known[peer.cookie], $0.recent) }
        if let known { return known }
        // Reading /proc takes milliseconds on a busy machine: not on a loop.
        let found = try? await Self.pool.run(deadline: BootClock.now.advanced(by: .seconds(5))) {
            Self.find(peer, recent: recent)
        }
        guard let found else { return .hidden }  // not found in time is not found
        state.withLock {
            if $0.known.count >= Self.limit { $0.known = [:] }
            $0.known[peer.cookie] = found.process
            $0.recent = [found.identifier] + $0.recent.filter { $0 != found.identifier }.prefix(7)
        }
        return found.process
    }

    private static func find(_ peer: PeerSocket, recent: [Int32]) -> (process: PeerProcess, identifier: Int32)? {
        for identifier in recent + processes().reversed() {
            guard let sockets = sockets(of: identifier), sockets.contains(peer.inode) else { continue }
            if identifier == getpid() { return (.client, identifier) }
            guard let serving = serving() else { return nil }
            return (serving.isDisjoint(with: sockets) ? .client : .server(name: name(of: identifier)), identifier)
        }
        return nil
    }

    /// Inodes of the sockets that listen, and of those that were accepted: a relay may leave listening to its parent. Nil when the kernel
    /// does not tell.
    private static func serving() -> Set<UInt32>? {
        guard let listening = tcpSockets(listening: true), let connected = tcpSockets(listening: false) else { return nil }
        let ports = Set(listening.map(\.port))
        return Set(listening.map(\.inode)).union(connected.lazy.filter { ports.contains($0.port) }.map(\.inode))
    }

    private static func tcpSockets(listening: Bool) -> [apus_tcp_socket]? {
        let capacity = 1 << 17  // 1 MiB, of which only what is used is touched
        let sockets = [apus_tcp_socket](unsafeUninitializedCapacity: capacity) { buffer, count in
            count = max(0, apus_tcp_sockets(listening ? 1 : 0, buffer.baseAddress, capacity))
        }
        return sockets.isEmpty ? nil : sockets  // our own are there
    }

    /// In the order of /proc, the newest last unless numbers have wrapped around.
    private static func processes() -> [Int32] { entries(of: "/proc").compactMap { Int32($0) } }

    /// Inodes of the sockets that a process has open; nil when it is gone or may not be looked at.
    private static func sockets(of process: Int32) -> Set<UInt32>? {
        let directory = "/proc/\(process)/fd"
        var found: Set<UInt32> = []
        var target = [CChar](repeating: 0, count: 64)
        for entry in entries(of: directory) {
            let count = readlink("\(directory)/\(entry)", &target, target.count)
            guard count > 0 else { continue }
            let text = String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix("socket:["), let inode = UInt32(text.dropFirst(8).dropLast()) { found.insert(inode) }
        }
        return found.isEmpty ? nil : found
    }

    private static func name(of process: Int32) -> String {
        let file = open("/proc/\(process)/comm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "unknown" }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(file, &bytes, bytes.count)
        return String(decoding: bytes[..<max(0, count)].filter { $0 >= 32 && $0 < 127 }, as: UTF8.self)
    }

    private static func entries(of path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }
}
