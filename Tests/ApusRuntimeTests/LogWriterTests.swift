import Glibc
import Testing

@testable import ApusRuntime

@Suite("log writer")
struct LogWriterTests {
    @Test("never waits for its reader: what does not fit is dropped, and the log says how much")
    func nobodyReads() async throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let limit = 64 << 10
        let writer = LogWriter(descriptor: ends[1], limit: limit)
        // The pipe takes 64 KiB; the writer holds what it is writing and as much again.
        let count = 1024
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 1023) + [10]
        for _ in 0..<count { writer.write(line) }
        let pool = BlockingPool(name: "log-test", threads: 2, queueLimit: 2)
        let reading = Task { [end = ends[0]] in
            try await pool.run {
                var bytes: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65_536)
                while case let count = read(end, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
                return bytes.split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
            }
        }
        try await pool.run { writer.flush(atMost: .seconds(30)) }
        close(ends[1])
        let lines = try await reading.value
        close(ends[0])
        let written = lines.count { $0.hasPrefix("xxx") }
        let dropped = lines.compactMap { $0.split(separator: "lines=").last.flatMap { Int($0) } }
        #expect(written < count)
        #expect(written >= limit / 1024)
        #expect(written + dropped.reduce(0, +) == count, "\(dropped)")
    }
}
