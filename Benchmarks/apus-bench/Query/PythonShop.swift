import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import TestKit

/// What a Python team would serve: `Benchmarks/peers/query_app.py` behind uvicorn, a process for each core.
struct PythonShop {
    let process: ChildProcess
    let url: String

    static func start(database: Redacted<String>, in directory: TemporaryFolder, loops: EventLoops) async throws -> PythonShop {
        let python = try PythonPackages.install("requirements-query.txt", in: ".deps/query-peer")
        let port = try freePort()
        let log = directory.path + "/python.log"
        let command = ChildProcess.Command(
            FileManager.default.currentDirectoryPath + "/" + python,
            [
                "-B", "-m", "uvicorn", "query_app:app", "--app-dir", "Benchmarks/peers", "--port", "\(port)", "--workers",
                "\(EventLoops.coreCount)", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
            ],
            environment: ["SHOP": database.reveal().replacing("?sslmode=disable", with: ""), "PATH": "/usr/bin:/bin"],
            output: .file(log))
        let shop = PythonShop(
            process: try await ChildProcess.start(command, on: loops.first), url: "http://127.0.0.1:\(port)/graphql/")
        let client = HTTPClient(loops: loops)
        try await eventually(within: 60, "the Python shop answers: \(readText(log))") {
            guard shop.process.ended == nil else { throw ApusError(.processFailed, "uvicorn ended: \(readText(log))") }
            let request = ClientRequest(
                .post, shop.url, headers: ["Content-Type": "application/json"], body: .bytes(Array(#"{"query":"{ __typename }"}"#.utf8)),
                deadline: BootClock.now.advanced(by: .seconds(5)))
            return (try? await client.send(request).status) == 200  // refused until it listens
        }
        return shop
    }
}
