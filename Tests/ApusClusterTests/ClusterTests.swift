import ApusRuntime
import ApusTypes
import NodeTestKit
import TestKit
import Testing

@testable import ApusCatalog
@testable import ApusCluster

@Suite("node identity")
struct IdentityTests {
    func load(_ directory: TemporaryDirectory, _ name: NodeName? = nil) throws -> NodeIdentity {
        var random = SystemRandomNumberGenerator()
        return try NodeIdentity.load(directory: directory.path, configuredName: name, using: &random)
    }

    @Test("a name that was made up stays over restarts, a configured one wins and stays too")
    func name() throws {
        let directory = try TemporaryDirectory()
        let first = try load(directory)
        #expect(first.isGenerated && first.name.rawValue.hasPrefix("node-") && first.name.rawValue.utf8.count == 13)
        #expect(try load(directory) == first)
        let named = try load(directory, "n1")
        #expect(named.name == "n1" && named.id == first.id && !named.isGenerated)
        #expect(try load(directory) == named)
        let other = try TemporaryDirectory()
        #expect(try load(other).id != first.id)
    }

    @Test("a file that is not ours is refused, not replaced")
    func foreign() async throws {
        let directory = try TemporaryDirectory()
        _ = try await shell("echo hello > \(directory.path)/node", in: directory)
        let error = #expect(throws: ApusError.self) { try load(directory) }
        #expect(error?.code == .inputInvalid)
        #expect(try await shell("cat \(directory.path)/node", in: directory).output == "hello\n")
    }
}

@Suite("cluster")
struct ClusterTests {
    @Test("a node beats, leads and does the leader's duties")
    func duties() async throws {
        try await TestNode.with { node in
            try await eventually("it leads") { node.cluster.leadership.epoch != nil && node.cluster.session.epoch != nil }
            let first = try await node.catalog.nodes.find("node-1", deadline: node.deadline)?.heartbeats
            try await eventually("it beats") { try await node.catalog.nodes.find("node-1", deadline: node.deadline)?.heartbeats != first }
            #expect(try await node.cluster.leader(deadline: node.deadline)?.name == "node-1")
            try await eventually("its duty was done") { node.duties.contains(node.cluster.leadership.epoch) }
        }
    }
}
