internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import Synchronization
internal import TestKit

/// nginx in front of the nodes, with what `apus render nginx` prints; written and reloaded when that changes.
final class Balancer: Sendable {
    let url: String
    private let listen: String
    private let directory: String
    private let enter: [String]
    private let process = Mutex<ChildProcess?>(nil)
    private let apus: String

    init(listen: String, directory: String, enter: [String], apus: String) {
        self.listen = listen
        url = "http://" + listen
        self.directory = directory
        self.enter = enter
        self.apus = apus
    }

    /// Starts it with the members that a node names.
    func start(asking node: String, key: String) async throws {
        mkdir(directory, 0o755)
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(directory)/\($0);" }.joined(
            separator: " ")
        try Commands.write(
            """
            daemon off; user root; worker_processes 2; pid \(directory)/pid;
            events { worker_connections 1024; }
            http { access_log off; \(folders) include \(directory)/apus.conf; }

            """, to: directory + "/nginx.conf")
        guard try await render(asking: node, key: key) else { throw ApusError(.processFailed, "nothing was rendered for nginx") }
        let words =
            enter + [
                "/usr/bin/setpriv", "--pdeathsig=KILL", "/usr/sbin/nginx", "-c", directory + "/nginx.conf", "-e", directory + "/error.log",
            ]
        let command = ChildProcess.Command(
            words[0], Array(words.dropFirst()), environment: ["PATH": Commands.path], output: .file(directory + "/error.log"))
        let child = try await ChildProcess.start(command, on: TestLoops.shared.first)
        process.withLock { $0 = child }
    }

    /// Looks each second, and reloads at most every two, until it is cancelled.
    func follow(_ nodes: @Sendable () -> [String], key: String) async throws {
        var turn = 0
        while true {
            try await BootClock().sleep(for: .seconds(1))
            let urls = nodes()
            guard !urls.isEmpty else { continue }
            turn += 1
            // One that does not answer is not asked again next time.
            guard (try? await render(asking: urls[turn % urls.count], key: key)) == true else { continue }
            process.withLock { $0 }?.send(signal: SIGHUP)
            try await BootClock().sleep(for: .seconds(1))
        }
    }

    /// Whether the file has changed.
    private func render(asking node: String, key: String) async throws -> Bool {
        let (new, file) = (directory + "/new.conf", directory + "/apus.conf")
        try await Commands.run(
            [apus, "render", "nginx", "--url", node, "--listen", listen, "--output", new], within: .seconds(3),
            environment: ["APUS_KEY": key])
        guard textFile(new) != textFile(file) else { return false }
        guard rename(new, file) == 0 else { throw ApusError(.outputUncreatable, "\(file) cannot be written") }
        return true
    }

    func stop() async {
        // The master is killed, so its workers have to be told by it.
        _ = await process.withLock { $0 }?.terminate(grace: .seconds(2))
    }
}
