import ApusRuntime
import ApusTypes
import Glibc
import Testing

@Suite("child processes and signals")
struct ChildProcessTests {
    let loops = EventLoops(count: 1)

    @Test("end with their status, or with the signal that ended them")
    func exits() async throws {
        let shell = try await ChildProcess.start(.init("/bin/sh", ["-c", "exit $CODE"], environment: ["CODE": "7"]), on: loops.first)
        #expect(await shell.wait() == .status(7))
        // It ignores SIGTERM once it has said so.
        let said = "/tmp/apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { unlink(said) }
        let stubborn = try await ChildProcess.start(
            .init(
                "/bin/sh", ["-c", "trap '' TERM; echo deaf; while :; do sleep 0.01; done"], environment: ["PATH": "/usr/bin:/bin"],
                output: .file(said)), on: loops.first)
        var facts = stat()
        while stat(said, &facts) != 0 || facts.st_size == 0 { try await BootClock().sleep(for: .milliseconds(1)) }
        #expect(stubborn.ended == nil)
        #expect(await stubborn.terminate(grace: .milliseconds(50)) == .signal(SIGKILL))
        #expect(stubborn.ended == .signal(SIGKILL))
        loops.stop()
    }

    @Test("that cannot be started say so")
    func missing() async throws {
        let error = await #expect(throws: ApusError.self) { try await ChildProcess.start(.init("/nowhere/program"), on: loops.first) }
        #expect(error?.code == .processFailed)
        loops.stop()
    }

    @Test("a signal arrives on the stream instead of ending the process")
    func signals() async throws {
        let stream = Signals.stream([.hangUp], on: loops.first)
        try await loops.first.run {}
        kill(getpid(), SIGHUP)
        for await signal in stream {
            #expect(signal == .hangUp)
            break
        }
    }
}
