public import ApusHTTP
public import ApusRuntime
public import ApusTypes
internal import Glibc
internal import TestKit

/// A real `apus node` on loopback, as an operator would start it.
public final class NodeProcess: Sendable {
    public let url: String
    /// Of Vectorizer's binary protocol: `vectorizer://127.0.0.1:40123`; nil when it is turned off.
    public let rpcURL: String?
    public let directory: String
    private let process: ChildProcess
    private let end: End
    private let client: HTTPClient
    /// An administrator's: the test's own process serves as well as it asks, so the node does not trust it without one.
    public let key: String

    /// Starts a program, the one that was built beside the tests if nil, on a free port, and returns when it is ready to read and write.
    /// Without `listen` it listens where the environment says.
    public static func start(
        _ other: String? = nil, directory: String, listen: String? = "127.0.0.1:0", arguments: [String] = [],
        environment: [String: String] = [:], loops: EventLoops
    ) async throws -> NodeProcess {
        let runFile = directory + "/run.json"
        unlink(runFile)
        // A node must not outlive the tests. The kernel ends it with the thread that started it: one that is never stopped.
        let command = ChildProcess.Command(
            "/usr/bin/setpriv",
            ["--pdeathsig=KILL", try other ?? program(), "node", "--data", directory] + (listen.map { ["--listen", $0] } ?? []) + arguments,
            environment: environment.merging(["PATH": "/usr/bin:/bin", "APUS_RPC_ADDRESS": "127.0.0.1:0"]) { own, _ in own },
            output: .file(directory + ".log"))
        let process = try await ChildProcess.start(command, on: TestLoops.shared.first)
        let end = End(process)
        let deadline = BootClock.now.advanced(by: .seconds(60))
        func ended() throws {
            guard process.ended == nil else { throw NodeFailure("the node ended: \(tail(of: directory + ".log"))") }
            guard BootClock.now < deadline else { throw NodeFailure("the node was not ready in time: \(tail(of: directory + ".log"))") }
        }
        var listeners: JSONObject?
        while listeners == nil {
            try ended()
            listeners = openListeners(in: runFile, of: process.identifier)
            if listeners == nil { try await BootClock().sleep(for: .milliseconds(5)) }
        }
        // Tests wait for what a node does, not for when a machine that is busy with other tests comes to accept a connection.
        var limits = HTTPClientLimits()
        limits.connectTime = .seconds(30)
        let client = HTTPClient(loops: loops, limits: limits)
        let url = listeners?.first { !["rpc", "cluster"].contains($0.key) }?.value.asString ?? ""
        let rpcURL = listeners?["rpc"]?.asString
        let waiting = NodeProcess(url: url, rpcURL: rpcURL, directory: directory, process: process, end: end, client: client, key: "")
        while try await waiting.send(.get, "/health/ready").status != 200 {
            try ended()
            try await BootClock().sleep(for: .milliseconds(5))
        }
        let key = try await makeKey(url: waiting.url, keptIn: directory + ".key", loops: loops)
        return NodeProcess(url: url, rpcURL: rpcURL, directory: directory, process: process, end: end, client: client, key: key)
    }

    /// A key for the tests, made once for a data directory with the command line.
    private static func makeKey(url: String, keptIn file: String, loops: EventLoops) async throws -> String {
        if let key = secret(in: file) { return key }
        let command = ChildProcess.Command(
            try program(), ["key", "create", "tests", "--role", "administrator", "--url", url, "--json"],
            environment: ["PATH": "/usr/bin:/bin"], output: .file(file))
        let process = try await ChildProcess.start(command, on: loops.first)
        guard await process.wait() == .status(0), let key = secret(in: file) else {
            throw NodeFailure("no key was made: \(tail(of: file))")
        }
        return key
    }

    private static func secret(in file: String) -> String? {
        textFile(file).flatMap { try? JSONValue(parsing: Array($0.utf8)) }?["secret"]?.asString
    }

    private init(url: String, rpcURL: String?, directory: String, process: ChildProcess, end: End, client: HTTPClient, key: String) {
        self.url = url
        self.rpcURL = rpcURL
        self.directory = directory
        self.process = process
        self.end = end
        self.client = client
        self.key = key
    }

    /// A test that fails leaves its node behind.
    private final class End: Sendable {
        private let process: ChildProcess
        init(_ process: ChildProcess) { self.process = process }
        deinit { process.send(signal: SIGKILL) }
    }

    /// Sends a request; the body is JSON text.
    public func send(
        _ method: Method, _ path: String, _ body: String? = nil, headers: Headers = [:], timeout: Duration = .seconds(30)
    ) async throws -> (status: Int, body: JSONValue) {
        var headers = headers
        if !key.isEmpty { headers["X-API-Key"] = key }
        if body != nil { headers["Content-Type"] = "application/json" }
        let response = try await client.send(
            ClientRequest(
                method, url + path, headers: headers, body: body.map { .bytes(Array($0.utf8)) } ?? .none,
                deadline: BootClock.now.advanced(by: timeout)))
        let bytes = try await response.collect(limit: .mebibytes(64))
        return (response.status, bytes.isEmpty ? .null : try JSONValue(parsing: bytes))
    }

    /// Its metrics in Prometheus' text format.
    public func metrics() async throws -> String {
        let response = try await client.send(
            ClientRequest(.get, url + "/metrics", headers: ["X-API-Key": key], deadline: BootClock.now.advanced(by: .seconds(30))))
        return String(decoding: try await response.collect(limit: .mebibytes(16)), as: UTF8.self)
    }

    public var identifier: Int32 { process.identifier }

    /// Nil while it runs.
    public var ended: ChildProcess.Exit? { process.ended }

    public func send(signal: Int32) { process.send(signal: signal) }

    /// SIGKILL, and waits until the process is gone.
    public func kill() async {
        process.send(signal: SIGKILL)
        _ = await process.wait()
    }

    /// SIGTERM; how the node ended.
    public func terminate() async -> ChildProcess.Exit { await process.terminate(grace: .seconds(30)) }

    /// Terminates it. Throws its log unless it then ends with status 0.
    public func stopCleanly() async throws {
        let exit = await terminate()
        guard exit == .status(0) else { throw NodeFailure("the node ended with \(exit): \(log)") }
    }

    public var log: String { Self.tail(of: directory + ".log") }

    /// The program that SwiftPM built beside the test bundle.
    public static func program() throws -> String { try BuiltProgram.path("apus") }

    /// Where its listeners after the first one are, in the order of their names.
    public var otherURLs: [String] {
        guard let text = textFile(directory + "/run.json"), let value = try? JSONValue(parsing: Array(text.utf8)),
            case .object(let listeners)? = value["listeners"]
        else { return [] }
        return listeners.sorted { $0.key < $1.key }.filter { $0.key != "cluster" }.compactMap(\.value.asString).filter { $0 != url }
    }

    /// Of its listener for other nodes; nil where it has none.
    public var peerPort: Int? {
        let listeners = Self.openListeners(in: directory + "/run.json", of: identifier)
        return listeners?["cluster"]?.asString?.split(separator: ":").last.flatMap { Int($0) }
    }

    private static func openListeners(in path: String, of process: Int32) -> JSONObject? {
        guard let text = textFile(path), let value = try? JSONValue(parsing: Array(text.utf8)),  // not written yet
            value["pid"] == .integer(Int64(process)), let listeners = value["listeners"]?.asObject, !listeners.isEmpty
        else { return nil }
        return listeners
    }

    private static func tail(of path: String) -> String { String((textFile(path) ?? "no log").suffix(4000)) }

    /// Empty where there is no such file.
    public static func text(of path: String) -> String { textFile(path) ?? "" }
}

public struct NodeFailure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
