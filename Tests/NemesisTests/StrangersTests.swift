import ApusRuntime
import ApusTypes
import Foundation
import Glibc
import TestKit
import Testing

@Suite("Nodes on machines of their own")
struct StrangersTests {
    @Test("who has no key, no secret or a used token is refused on another host; with a token one joins", .enabled(if: getuid() == 0))
    func strangers() async throws {
        let directory = try TemporaryDirectory()
        let output = directory.path + "/output"
        let lab = try await ChildProcess.start(
            ChildProcess.Command(
                try BuiltProgram.path("apus-nemesis"), ["strangers", "--directory", directory.path],
                environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], output: .file(output)),
            on: TestLoops.shared.first)
        let exit = await lab.wait()
        let text = try String(contentsOfFile: output, encoding: .utf8)
        #expect(exit == .status(0), "\(text)")
        let lines = text.split(separator: "\n")
        #expect(lines.last == "0 failed" && lines.count { $0.hasPrefix("ok: ") } == 21, "\(text)")
    }
}
