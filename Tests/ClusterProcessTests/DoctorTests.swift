import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
import Testing

@Suite("apus doctor cluster", .serialized)
struct DoctorTests {
    @Test("nodes that are well have no findings; a frozen one is named once, and one whose settings differ with the key")
    func examination() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        func findings() async throws -> [String] {
            let reply = try await nodes[0].send(.get, "/api/doctor")
            return (reply.body["findings"]?.asArray ?? [reply.body]).map {
                "\($0["code"]?.asString ?? "?") \($0["node"]?.asString ?? "?") \($0["facts"]?["key"]?.asString ?? "")"
            }
        }
        try await eventually(within: 60, "all is well") { try await findings() == [] }

        nodes[1].send(signal: SIGSTOP)
        #expect(try await findings() == ["node.silent n2 "])
        nodes[1].send(signal: SIGCONT)
        try await eventually(within: 60, "all is well again") { try await findings() == [] }

        try await nodes[2].stopCleanly()
        let other = try await cluster.start(2, more: ["APUS_MEMBERSHIP_DOWN_SECONDS": "9"])
        try await eventually(within: 60, "the difference is found") {
            try await findings().contains("config.differs n3 membership.down_seconds")
        }
        try await eventually(within: 60, "the node says it too") {
            let problems = try await other.send(.get, "/health/ready").body["problems"]?.asArray ?? []
            return problems.contains {
                $0["code"] == "config.differs" && $0["problem"]?.asString?.contains("membership.down_seconds") == true
            }
        }
        #expect(try await other.send(.get, "/health/ready").status == 200, "and serves all the same")
    }
}
