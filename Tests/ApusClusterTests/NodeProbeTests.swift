import ApusTypes
import Testing

@testable import ApusCatalog
@testable import ApusCluster

@Suite("whom a node reaches")
struct NodeProbeTests {
    static func row(_ name: NodeName, incarnation: Int64 = 1) -> NodeRow {
        NodeRow(
            name: name, url: "", rpcAddress: "127.0.0.1:1", roles: [.worker], status: .active, incarnation: incarnation, version: "",
            hasGeneratedName: false, metadata: "{}", registeredAt: WallTime(millisecondsSinceEpoch: 0))
    }

    @Test("a reply of another node, of another process under the name, or before it has joined, is none of the node's")
    func replies() {
        let row = Self.row("n2", incarnation: 3)
        #expect(NodeProbe.reaches(row, replying: NodeProbe.reply("n2", incarnation: 3)))
        #expect(NodeProbe.reaches(row, replying: []), "of an older version")
        for (node, incarnation) in [("n2", 2), ("n2", 4), ("n2", nil), ("n3", 3)] as [(NodeName, Int64?)] {
            #expect(!NodeProbe.reaches(row, replying: NodeProbe.reply(node, incarnation: incarnation)))
        }
        for text in ["7", "[]", "{", "\u{0}"] { #expect(!NodeProbe.reaches(row, replying: Array(text.utf8))) }
    }

    @Test("a node that answers that it cannot is reached; who says nothing, or is another node, is not")
    func failures() {
        for code in [ErrorCode.overloaded, .deadlineExceeded, .nodeDraining, .methodUnknown, .internalError] {
            #expect(NodeProbe.reaches(Self.row("n2"), failing: ApusError(code, "no", context: ["node": "n2"])))
            #expect(!NodeProbe.reaches(Self.row("n2"), failing: ApusError(code, "no", context: ["node": "n3"])))
        }
        for code in [ErrorCode.peerTimeout, .peerUnreachable, .peerSecretMismatch, .peerBusy] {
            #expect(!NodeProbe.reaches(Self.row("n2"), failing: ApusError(code, "no", context: ["address": "n2"])))
        }
        #expect(!NodeProbe.reaches(Self.row("n2"), failing: CancellationError()))
    }
}
