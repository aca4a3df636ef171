public import ApusTypes

/// One thing that is wrong between nodes, or on one.
public struct ClusterFinding: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable {
        case unreachable = "net.unreachable"
        case silent = "node.silent"
        case clock = "clock.skewed"
        case settings = "config.differs"
        case version = "version.differs"
        case disk = "disk.low"
        /// What a node's health says.
        case problem
    }

    public var kind: Kind
    /// The node that it is about; for a path, from where it leads.
    public var node: NodeName
    public var text: String
    public var remedy: String
    public var facts: [String: String]
}

/// Judges what the nodes of a cluster said when all were asked at once. Pure.
public struct ClusterExamination: Sendable {
    /// What one node said, and by how much its clock was ahead of that of the node that asked.
    public struct Answer: Sendable, Hashable {
        public var facts: NodeFacts
        public var ahead: Duration

        public init(facts: NodeFacts, ahead: Duration) {
            self.facts = facts
            self.ahead = ahead
        }
    }

    public let findings: [ClusterFinding]

    /// More than clocks that are kept by NTP differ, and more than an answer takes.
    static let mostSkew = Duration.seconds(5)
    /// Of a disk, in percent.
    static let leastFree = 10

    /// - Parameters:
    ///   - answers: by node; nil for one that did not answer.
    ///   - own: the node that asked: what others differ from.
    public init(_ answers: [NodeName: Answer?], own: NodeName) {
        var found: [ClusterFinding] = []
        let silent = Set(answers.filter { $0.value == nil }.keys)
        for (node, answer) in answers.sorted(by: { $0.key < $1.key }) {
            func add(_ kind: ClusterFinding.Kind, _ text: String, try remedy: String, _ facts: [String: String] = [:]) {
                found.append(ClusterFinding(kind: kind, node: node, text: text, remedy: remedy, facts: facts))
            }
            guard let answer else {
                add(.silent, "\(own) is not answered by \(node)", try: "is its process running? Can \(own) reach its cluster.address?")
                continue
            }
            // Whoever does not answer at all is one finding, not one for each of its neighbours.
            for (peer, failures) in Dictionary(grouping: answer.facts.unreached.filter { !silent.contains($0.node) }, by: \.node)
                .sorted(by: { $0.key < $1.key })
            {
                let addresses = failures.map(\.address).sorted().joined(separator: ", ")
                add(
                    .unreachable, "\(node) does not reach \(peer) at \(addresses): \(failures[0].reason)",
                    try: "open these ports from \(node) to \(peer)", ["from": node.rawValue, "to": peer.rawValue, "addresses": addresses])
            }
            if abs(answer.ahead.seconds) > Self.mostSkew.seconds {
                let seconds = Int(answer.ahead.seconds)
                add(
                    .clock, "the clock of \(node) is \(abs(seconds)) s \(seconds > 0 ? "ahead of" : "behind") that of \(own)",
                    try: "keep clocks with NTP (chrony, systemd-timesyncd): logs of several nodes cannot be read together",
                    ["seconds": String(seconds)])
            }
            for disk in answer.facts.disks where disk.free.bytes < disk.total.bytes / 100 * Self.leastFree {
                add(
                    .disk, "\(node) has \(disk.free) free of \(disk.total) at \(disk.path)",
                    try: "free some space, or move it to a larger disk",
                    ["path": disk.path])
            }
            for problem in answer.facts.problems {
                add(.problem, "\(node): \(problem.summary)", try: "apus status --url of \(node)", ["code": problem.code])
            }
            guard node != own, case let reference?? = answers[own] else { continue }
            if answer.facts.version != reference.facts.version {
                add(
                    .version, "\(node) runs version \(answer.facts.version), and \(own) \(reference.facts.version)",
                    try: "finish the upgrade: all nodes should run one version")
            }
            for difference in Self.differences(answer.facts.settings, reference.facts.settings) {
                add(
                    .settings, "\(difference.key) is \(difference.other) on \(node) and \(difference.own) on \(own)",
                    try: "set it to one value on all nodes", ["key": difference.key])
            }
        }
        findings = found
    }

    /// Of the settings that both say, by key.
    static func differences(_ other: [String: String], _ own: [String: String]) -> [(key: String, other: String, own: String)] {
        own.keys.sorted().compactMap { key in
            guard let ownValue = own[key], let otherValue = other[key], ownValue != otherValue else { return nil }
            return (key, otherValue, ownValue)
        }
    }
}
