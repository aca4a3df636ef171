import ApusTypes
import Testing

@testable import ApusRuntime

@Suite("memory of the machine")
struct MachineMemoryTests {
    @Test("this machine's is known, and a limit is no more than counts")
    func current() throws {
        let memory = try #require(MachineMemory.current())
        #expect(memory.total.bytes > 1 << 26 && memory.available <= memory.total && memory.usable <= memory.total)
        let gibibyte = ByteCount.gibibytes(1)
        #expect(MachineMemory(total: .gibibytes(8), available: gibibyte, limit: .gibibytes(2)).usable == .gibibytes(2))
        #expect(MachineMemory(total: .gibibytes(8), available: gibibyte, limit: .gibibytes(20)).usable == .gibibytes(8))
    }

    @Test("the least limit of a group and of those around it counts, in both versions; no limit is none")
    func limits() {
        let files = [
            "/sys/fs/cgroup/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "1073741824\n", "/sys/fs/cgroup/a/b/memory.max": "max\n",
            "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2147483648\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        ]
        func limits(_ groups: String) -> [ByteCount] { MachineMemory.limits(of: groups) { files[$0] } }
        #expect(limits("0::/a/b\n") == [.gibibytes(1)])
        #expect(limits("0::/\n") == [])
        #expect(limits("3:cpu,cpuacct:/x\n4:memory:/x\n") == [.gibibytes(2)])
        #expect(limits("").isEmpty && limits("nonsense").isEmpty)
    }
}
