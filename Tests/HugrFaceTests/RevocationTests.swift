import ApusHTTP
import ApusRuntime
import ApusTypes
import NodeProcessKit
import TestKit
import Testing

@Suite("revoking on three nodes")
struct RevocationTests {
    @Test("what is granted through one node is there through another at once; what is revoked is gone from all")
    func threeNodes() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        func manage(_ node: NodeProcess, _ mutation: String) async throws {
            let answer = try await AccessNode.ask(node.url, "mutation { core { \(mutation) } }", ["X-API-Key": node.key])
            #expect(answer.status == 200 && answer.message == nil, "\(answer.text)")
        }
        let me = "{ function { core { auth { me { role } } } } }"
        func ask(_ node: NodeProcess, _ key: String) async throws -> AccessNode.Answer {
            try await AccessNode.ask(node.url, me, ["X-Hugr-Api-Key": key])
        }
        for round in 0..<5 {
            let key = "key-\(round)-0123456789"
            try await manage(
                nodes[round % 3],
                """
                insert_roles(data: {name: "r\(round)", permissions: []}) { name }
                insert_api_keys(data: {name: "k\(round)", key: "\(key)", default_role: "r\(round)"}) { name }
                """)
            // A client's next request may reach any of them.
            for node in nodes { try await eventually("the key is known") { try await ask(node, key).status == 200 } }
            let other = nodes[(round + 1) % 3]
            switch round {
            case 0:
                try await manage(other, "delete_api_keys(filter: {name: {eq: \"k0\"}}) { success }")
                for node in nodes { try await eventually("the key is gone") { try await ask(node, key).status == 401 } }
            case 1:
                try await manage(other, "update_roles(filter: {name: {eq: \"r1\"}}, data: {disabled: true}) { success }")
                for node in nodes { try await eventually("the role is disabled") { try await ask(node, key).status == 403 } }
            default:
                try await manage(
                    other,
                    "insert_role_permissions(data: {role: \"r\(round)\", type_name: \"Query\", field_name: \"*\", disabled: true}) { role }"
                )
                for node in nodes { try await eventually("it is forbidden") { try await ask(node, key).message == "forbidden" } }
            }
            // The node that changed it knows at once.
            #expect(try await ask(other, key).data == nil)
        }
        for node in nodes { try await node.stopCleanly() }
    }
}
