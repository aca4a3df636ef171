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

/// Finds the processes of peers. One look at the system serves all who wait for it, so that a program that opens a thousand connections
/// is looked at a few times and not a thousand times.
package final class PeerProcesses: Sendable {
    /// Of this machine, whichever listener asks.
    package static let shared = PeerProcesses()

    private static let pool = BlockingPool(name: "peers", threads: 1, queueLimit: 1)
    /// A client may become a server later, so this is how long it is believed. A server stays one.
    private static let fresh: Duration = .seconds(1)
    /// Sockets that are remembered; beyond it, all are forgotten and found anew.
    private static let limit = 4096

    private typealias Waiting = (peer: PeerSocket, continuation: CheckedContinuation<PeerProcess, any Error>)

    private struct State {
        /// By the socket's cookie.
        var known: [UInt64: (process: PeerProcess, at: Instant)] = [:]
        var waiting: [Waiting] = []
        var isLooking = false
        /// Whose sockets were asked about last: they are looked at first.
        var recent: [Int32] = []
    }

    private let state = Mutex(State())

    private init() {}

    /// Throws `deadline.exceeded` when the system does not tell within seconds.
    package func process(of peer: PeerSocket) async throws -> PeerProcess {
        if let known = state.withLock({ $0.known[peer.cookie] }),
            known.process != .client || known.at.duration(to: BootClock.now) < Self.fresh
        {
            return known.process
        }
        return try await withCheckedThrowingContinuation { continuation in
            let isFirst = state.withLock { state in
                state.waiting.append((peer, continuation))
                defer { state.isLooking = true }
                return !state.isLooking
            }
            if isFirst { Task { await look() } }
        }
    }

    /// Looks until nobody waits.
    private func look() async {
        while true {
            let (waiting, recent) = state.withLock { state in
                defer {
                    state.isLooking = !state.waiting.isEmpty
                    state.waiting = []
                }
                return (state.waiting, state.recent)
            }
            guard !waiting.isEmpty else { return }
            let now = BootClock.now
            do {
                // Reading /proc takes milliseconds on a busy machine: not on a loop.
                let found = try await Self.pool.run(deadline: now.advanced(by: .seconds(5))) {
                    Self.find(Set(waiting.map(\.peer.inode)), recent: recent)
                }
                state.withLock { state in
                    if state.known.count + waiting.count > Self.limit { state.known = [:] }
                    for (peer, _) in waiting { state.known[peer.cookie] = found.processes[peer.inode].map { ($0, now) } }
                    state.recent = Array((found.holders + recent.filter { !found.holders.contains($0) }).prefix(8))
                }
                for (peer, continuation) in waiting { continuation.resume(returning: found.processes[peer.inode] ?? .hidden) }
            } catch {
                for (_, continuation) in waiting { continuation.resume(throwing: error) }
            }
        }
    }

    /// The processes that hold the sockets with these inodes, as far as they are shown, and their numbers.
    private static func find(_ inodes: Set<UInt32>, recent: [Int32]) -> (processes: [UInt32: PeerProcess], holders: [Int32]) {
        guard let serving = serving() else { return ([:], []) }
        var processes: [UInt32: PeerProcess] = [:]
        var holders: [Int32] = []
        for identifier in recent + allProcesses().reversed() where processes.count < inodes.count {
            guard let sockets = sockets(of: identifier) else { continue }
            let held = inodes.intersection(sockets).filter { processes[$0] == nil }
            guard !held.isEmpty else { continue }
            let isServer = identifier != getpid() && !serving.isDisjoint(with: sockets)
            let process = isServer ? PeerProcess.server(name: name(of: identifier)) : .client
            for inode in held { processes[inode] = process }
            holders.append(identifier)
        }
        return (processes, holders)
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
    private static func allProcesses() -> [Int32] { entries(of: "/proc").compactMap { Int32($0) } }

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
