import ApusConfig
import ApusTypes
import Glibc
import TestKit
import Testing

@Suite("Round trip", .computing)
struct RoundTripTests {
    @Test("2,000 random configurations are read back as they were written")
    func parseOfRender() throws {
        var random = SeededGenerator(seed: 20_260_101)
        for _ in 0..<2_000 {
            let configuration = Configuration.random(using: &random)
            let yaml = configuration.yaml(revealingSecrets: true)
            let loaded = load(yaml)
            // Random values may break rules about several settings; what is compared is the values.
            #expect(loaded.configuration == configuration, "\(yaml)")
            #expect(loaded.problems.allSatisfy { $0.key != nil && !$0.what.contains("no setting") }, "\(yaml)")
            guard loaded.configuration == configuration else { return }
        }
    }

    @Test("the generated reference and example file are the committed ones")
    func reference() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        #expect(try text(of: "/\(root)/docs/reference/configuration.md") == ConfigurationReference.markdown)
        #expect(try text(of: "/\(root)/Examples/apus.yml") == ConfigurationReference.annotatedFile)
    }
}

extension Configuration {
    /// Any value that each single setting accepts.
    fileprivate static func random(using random: inout SeededGenerator) -> Configuration {
        var made = Configuration()
        func chance(_ random: inout SeededGenerator) -> Bool { Bool.random(using: &random) }
        func text(_ random: inout SeededGenerator) -> String { "x" + random.text() }
        func seconds(_ low: Double, _ high: Double, _ random: inout SeededGenerator) -> Duration {
            .nanoseconds(Int64.random(in: Int64(low * 1e9)...Int64(high * 1e9), using: &random))
        }
        if chance(&random) { made.node.name = NodeName("n-\(Int.random(in: 0...999, using: &random))") }
        made.node.data = text(&random)
        if chance(&random) { made.node.url = "http://" + text(&random) }
        if chance(&random) {
            made.node.rpcAddress = SocketAddress(host: ["h", "::1", "10.0.0.1"].randomElement(using: &random) ?? "h", port: 7)
        }
        made.listeners = (0...Int.random(in: 0...3, using: &random)).map { index in
            let tls = chance(&random)
            return Listener(
                name: text(&random) + "\(index)",
                address: SocketAddress(host: "127.0.0.1", port: Int.random(in: 0...65_535, using: &random)),
                faces: chance(&random) ? [.console] : [.vectorizer, .console], tlsCertificate: tls ? text(&random) : nil,
                tlsKey: tls ? text(&random) : nil)
        }
        made.http.maxConnections = Int.random(in: 1...1_000_000, using: &random)
        made.http.maxPathBytes = ByteCount(Int.random(in: 1024...65_536, using: &random))
        made.http.headerTimeout = seconds(0.1, 600, &random)
        made.http.drainTimeout = seconds(0, 3600, &random)
        made.faces.vectorizer.maxBody = ByteCount(Int.random(in: 1024...(4 << 30), using: &random))
        made.faces.vectorizer.corsOrigins = (0..<Int.random(in: 0...3, using: &random)).map { _ in text(&random) }
        if chance(&random) { made.catalog.url = Redacted(text(&random)) }
        if chance(&random) { made.catalog.urlFile = text(&random) }
        if chance(&random) { made.catalog.sqlitePath = text(&random) }
        made.catalog.connectTimeout = seconds(0.1, 60, &random)
        made.store.kind = [nil, .catalog, .directory].randomElement(using: &random) ?? nil
        made.cluster.servers = (0..<Int.random(in: 0...3, using: &random)).map { index in
            Configuration.Server(
                id: text(&random) + "\(index)", address: ["h", "::1", "10.0.0.1"].randomElement(using: &random) ?? "h", port: 7)
        }
        if chance(&random) { made.store.directory = text(&random) }
        made.store.reserve = ByteCount(Int.random(in: 0...(1 << 50), using: &random))
        made.auth.loopback = chance(&random)
        made.auth.maxStale = seconds(60, 86_400, &random)
        made.log.format = Log.Format.allCases.randomElement(using: &random) ?? .text
        made.log.level = Log.Level.allCases.randomElement(using: &random) ?? .info
        made.runtime.loops = Int.random(in: 0...1024, using: &random)
        made.vectors.defaultShards = Int.random(in: 1...256, using: &random)
        made.vectors.rowAppend = ByteCount(Int.random(in: 0...(16 << 20), using: &random))
        made.retention.droppedObjects = seconds(60, 86_400, &random)
        made.membership.downAfter = seconds(0.2, 3600, &random)
        made.leases.length = seconds(0.4, 600, &random)
        return made
    }
}

func text(of path: String) throws -> String {
    let file = try #require(fopen(path, "r"), "\(path) is missing: run 'make docs'")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}
