internal import ApusRender
internal import ApusRuntime
internal import ApusTypes

/// Keeps a balancer's file true to the cluster's members, from any host that reaches one of them. What it decides it logs.
struct BalancerWatch {
    private let members: @Sendable () async throws(ApusError) -> [Upstream]
    private let render: @Sendable ([Upstream]) throws(ApusError) -> String
    private let file: BalancerFile
    /// Nothing is written.
    private let isTrial: Bool
    private var machine: RenderWatch
    private var known: [NodeName: Upstream] = [:]
    private var awaySince: Instant?
    private static let log = Logger("render")

    init(
        file: BalancerFile, isTrial: Bool, members: @escaping @Sendable () async throws(ApusError) -> [Upstream],
        render: @escaping @Sendable ([Upstream]) throws(ApusError) -> String
    ) {
        self.members = members
        self.render = render
        self.file = file
        self.isTrial = isTrial
        // What is in the file may be what the balancer never read: the first text is always written.
        machine = RenderWatch()
    }

    /// Looks at the members again and again, until the task is cancelled.
    mutating func run() async {
        while !Task.isCancelled {
            let next = BootClock.now.advanced(by: LoadBalancerTimings().look)
            do { try await look() } catch {}  // logged, and looked at again
            do { try await BootClock().sleep(until: next) } catch { return }
        }
    }

    /// One look, and what follows from it. Throws why the file is not what it should be.
    mutating func look() async throws(ApusError) {
        do throws(ApusError) {
            let upstreams = try await members()
            let text = try render(upstreams)
            if let since = awaySince {
                Self.log.notice("the cluster answers again", ["away_seconds": "\(since.duration(to: BootClock.now).seconds)"])
                awaySince = nil
            }
            note(upstreams)
            machine.rendered(text)
        } catch {
            if awaySince == nil {
                awaySince = BootClock.now
                Self.log.warning("nobody says who the members are: the file stays as it is", ["file": file.path, "error": error.summary])
            }
            // A change that was seen before may still be waiting for its turn.
            try await act()
            throw error
        }
        try await act()
    }

    private mutating func act() async throws(ApusError) {
        guard case .write(let text) = machine.action(at: BootClock.now) else { return }
        do throws(ApusError) {
            if isTrial { try await file.check(text) } else { try await file.install(text) }
            machine.installed(text, at: BootClock.now)
            let states = known.values.sorted { $0.node < $1.node }.map { "\($0.node) \($0.state.rawValue)" }.joined(separator: ", ")
            let facts = ["file": file.path, "nodes": states]
            if isTrial {
                if file.holds(text) {
                    Self.log.notice("would reload the balancer; the file is as it would be", facts)
                } else {
                    Self.log.notice("would write the file and reload the balancer", facts)
                }
            } else {
                Self.log.notice("wrote the file and reloaded the balancer", facts)
            }
        } catch {
            machine.refused(text, reason: error.summary, at: BootClock.now)
            Self.log.error("a new file was refused", ["file": file.path, "error": error.summary])
            throw error
        }
    }

    private mutating func note(_ upstreams: [Upstream]) {
        let now = Dictionary(upstreams.map { ($0.node, $0) }, uniquingKeysWith: { first, _ in first })
        for (name, node) in now.sorted(by: { $0.key < $1.key }) where known[name] != node {
            let from = known[name].map { "\($0.endpoint) \($0.state.rawValue)" } ?? "unknown"
            Self.log.info("a node changed", ["node": "\(name)", "from": from, "to": "\(node.endpoint) \(node.state.rawValue)"])
        }
        for name in known.keys.sorted() where now[name] == nil { Self.log.info("a node is no member any more", ["node": "\(name)"]) }
        known = now
    }
}
