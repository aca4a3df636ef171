import ApusRuntime
import TestKit
import Testing

/// What becomes of the file system under a store; each in a mount namespace of its own, which needs root.
@Suite("a store's file system")
struct MountTests {
    private func transcript(of scenario: String) async throws -> [String] {
        let scratch = try TemporaryDirectory()
        let mountPoint = scratch.path + "/mnt"
        return try await BlockingPool(name: "lab", threads: 1, queueLimit: 1).run {
            mkdirs(mountPoint)
            return try Lab.run([scenario, mountPoint], mounts: true).lines
        }
    }

    @Test("a full disk is a clear error, nothing is half visible, and it works again after space was freed")
    func full() async throws {
        #expect(
            try await transcript(of: "full") == [
                "fits some: true then: store.full",
                "streamed: store.full",
                "nothing half visible: true temporary files: 0",
                "probe: ok",
                "delete: ok",
                "put after delete: ok",
                "all there: true",
                "reserve: store.full",
                "reserve, probe: store.full",
                "reserve, delete: ok",
                "reserve, put: ok",
            ])
    }

    @Test("a file system that turned read-only still serves, and says what it refuses")
    func readOnly() async throws {
        #expect(
            try await transcript(of: "read-only") == [
                "put: store.read_only",
                "probe: store.read_only",
                "delete: store.read_only",
                "read: [1, 2, 3] list: true",
                "open: ok",
                "writable again: ok",
            ])
    }

    @Test("nothing is written to a bare mount point or to another cluster's store")
    func away() async throws {
        #expect(
            try await transcript(of: "away") == [
                "put: store.unavailable",
                "read: store.unavailable",
                "probe: store.unavailable",
                "list: store.unavailable",
                "open: store.unavailable",
                "bare mount point: []",
                "foreign put: store.foreign",
                "foreign open: store.foreign",
                "foreign mount: [\"apus-store\"]",
                "back: [1, 2, 3]",
            ])
    }

    @Test("a file system that hangs costs its own threads and nothing else, and heals")
    func hung() async throws {
        #expect(
            try await transcript(of: "hung") == [
                "probe: store.unavailable",
                "in less than 5 s: true",
                "30 reads: [\"store.unavailable\"]",
                "threads taken are bounded: true",
                "another store works: ok",
                "healed: [1, 2, 3]",
                "probe: ok",
            ])
    }
}
