internal import ApusConfig
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes

enum DoctorCommand {
    static let command: Command = Command(
        name: "doctor", summary: "Examine the machine, the catalog, the store, the ports and the cluster, and say what to do.",
        discussion: """
            Takes the same options as 'apus node', and changes nothing. 'cluster' has every node of a running cluster try its ways to every \
            other, and compares their clocks, settings, versions and disks; it asks the node at APUS_URL. \
            Findings are ok, advice (works, and would work better) or bad; with a bad one the exit code is 1.
            """,
        arguments: [
            Argument(
                name: "AREA", help: "Only this: \(Examination.allCases.map(\.rawValue).joined(separator: ", ")).", isRequired: false,
                values: .choice(Examination.allCases.map(\.rawValue)))
        ],
        options: NodeOptions.all,
        examples: [
            .init("apus doctor --data /var/lib/apus", "before the first start"),
            .init("apus doctor cluster", "when nodes do not see each other"),
            .init("apus doctor catalog --config /etc/apus/apus.yml", "when the catalog does not answer"),
        ],
        run: { invocation in
            var areas = Examination.allCases
            if let wanted = invocation.argument(0).flatMap(Examination.init(rawValue:)) { areas = [wanted] }
            let configuration = try NodeOptions.validated(invocation, mayLackSecret: true) { _ in }

            var report = JSONObject()
            var isBad = false
            for area in areas {
                let findings = await findings(area, configuration, invocation, isWanted: areas.count == 1)
                isBad = isBad || findings.contains { $0.verdict == .bad }
                if invocation.wantsJSON {
                    report[area.rawValue] = .array(
                        findings.map {
                            .object([
                                "verdict": .string($0.verdict.rawValue), "text": .string($0.text),
                                "remedy": $0.remedy.map(JSONValue.string) ?? .null,
                            ])
                        })
                } else {
                    print(area, findings, invocation.terminal)
                }
            }
            if invocation.wantsJSON { invocation.printJSON(["ok": .bool(!isBad), "findings": .object(report)]) }
            return isBad ? .negative : .success
        })

    private static func findings(
        _ area: Examination, _ configuration: Configuration, _ invocation: Invocation, isWanted: Bool
    ) async -> [Finding] {
        switch area {
        case .machine: MachineExamination(configuration: configuration).findings()
        case .data:
            await bounded(
                "the data directory",
                DirectoryExamination(path: configuration.node.data, reserve: ByteCount(0), mustBeLocal: configuration.keepsCatalog))
        case .catalog: await CatalogExamination(configuration).findings()
        case .store:
            configuration.storeKind == .catalog
                ? [.good("objects are kept in the catalog, at most \(ByteCount(configuration.store.maxCatalogBytes.bytes))")]
                : await bounded(
                    "the store",
                    DirectoryExamination(path: configuration.storeDirectory, reserve: configuration.store.reserve, mustBeLocal: false))
        case .cluster: await cluster(invocation, isWanted: isWanted)
        case .ports:
            ports(configuration)
        }
    }

    private static func ports(_ configuration: Configuration) -> [Finding] {
        let node = RunFile.process(in: configuration.node.data)
        var ports = configuration.listeners.map { PortExamination(address: $0.address, setting: "listeners", node: node) }
        if configuration.rpc.isEnabled {
            ports.append(PortExamination(address: configuration.rpcAddress, setting: "rpc.address (APUS_RPC_ADDRESS)", node: node))
        }
        return ports.map { $0.finding() }
    }

    /// What the nodes of a running cluster say of each other. Nobody need run yet, unless that was asked for.
    private static func cluster(_ invocation: Invocation, isWanted: Bool) async -> [Finding] {
        do throws(ApusError) {
            let reply = try await NodeClient(invocation).call(.get, "/api/doctor", timeout: .seconds(15))
            let nodes = reply["nodes"]?.asArray ?? []
            let findings = (reply["findings"]?.asArray ?? []).map { finding in
                Finding.bad(
                    "\(Outline.plain(finding["text"] ?? .null)) (\(Outline.plain(finding["code"] ?? .null)))",
                    try: finding["remedy"]?.asString)
            }
            return findings.isEmpty ? [.good("\(nodes.count) nodes reach each other and agree")] : findings
        } catch {
            if !isWanted, error.code == .nodeUnreachable { return [.good("no node runs here yet")] }
            return [Finding(error, doing: "the cluster was not examined")]
        }
    }

    /// A file system that hangs is a finding after five seconds; its thread is left behind.
    private static func bounded(_ what: String, _ examination: DirectoryExamination) async -> [Finding] {
        let pool = BlockingPool(name: "doctor", threads: 1, queueLimit: 1)
        do {
            return try await pool.run(deadline: BootClock().now.advanced(by: .seconds(5))) { examination.findings() }
        } catch {
            return [.bad("\(what) (\(examination.path)) does not answer within 5 s", try: "a hung network mount? See 'mount' and 'dmesg'")]
        }
    }

    private static func print(_ area: Examination, _ findings: [Finding], _ terminal: Terminal) {
        terminal.print(terminal.styled(area.rawValue, .bold))
        for finding in findings {
            let style: Terminal.Style = finding.verdict == .good ? .green : finding.verdict == .advice ? .yellow : .red
            let padding = String(repeating: " ", count: 8 - finding.verdict.rawValue.count)
            terminal.print("  \(terminal.styled(finding.verdict.rawValue, style))\(padding)\(finding.text)")
            if let remedy = finding.remedy { terminal.print("            try: \(remedy)") }
        }
    }
}
