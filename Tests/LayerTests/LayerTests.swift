import Foundation
import Testing

/// The layers of ARCHITECTURE.md, read from the folders and the imports: arrows only point down.
@Suite("layers")
struct LayerTests {
    /// From the bottom. A target may import what is in a lower layer and, in `Core` and `IO`, what its own layer allows below.
    static let layers = ["C", "Core", "IO", "Services", "Faces", "apus"]
    /// Layers whose targets never import each other.
    static let withoutSiblings: Set = ["C", "Services", "Faces"]
    /// Inside a layer arrows have a direction too: a target imports only those listed before it.
    static let order: [String: [String]] = [
        "Core": [
            "ApusTypes", "ApusMembership", "ApusPlacement", "ApusThunder", "ApusVectorIndex", "ApusEmbedding", "ApusConfig", "ApusRender",
            "ApusTokens", "ApusGraphQL", "ApusSchemas", "ApusArrow", "ApusCells", "ApusQueryPlan",
        ],
        "IO": ["ApusRuntime", "ApusDatabase", "ApusCatalog", "ApusStore", "ApusCache", "ApusSockets", "ApusHTTP", "ApusRPC"],
    ]
    /// What the toolchain brings.
    static let system: Set = ["Swift", "Synchronization", "Glibc", "Dispatch", "FoundationEssentials", "Foundation", "_Concurrency"]
    /// Core is values and algorithms: of the toolchain it has the language, and the C library only where a target needs memory functions
    /// or mathematics of it, because with it come files, clocks and threads.
    static let systemOfCore: Set = ["Swift", "Synchronization"]
    static let coreWithLibrary: Set = ["ApusVectorIndex"]

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Target name to layer, from the folders under Sources/.
    static func targets() throws -> [String: String] {
        var targets = ["apus": "apus"]
        for layer in layers.dropLast() {
            for folder in try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Sources/\(layer)").path) {
                targets[folder] = layer
            }
        }
        return targets
    }

    struct Arrow: CustomStringConvertible {
        var file: String
        var from: String
        var to: String
        var description: String { "\(file) imports \(to)" }
    }

    static func arrows(of targets: [String: String]) throws -> [Arrow] {
        try targets.flatMap { target, layer -> [Arrow] in
            guard layer != "C" else { return [] }
            let folder = root.appending(path: layer == "apus" ? "Sources/apus" : "Sources/\(layer)/\(target)")
            let files = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
            return try files.filter { $0.hasSuffix(".swift") }.flatMap { file in
                let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
                return imports(in: text).map { Arrow(file: "\(target)/\(file)", from: target, to: $0) }
            }
        }
    }

    static func imports(in text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            var words = line.split(separator: " ").filter { !$0.hasPrefix("@") }
            if let first = words.first, ["public", "package", "internal", "fileprivate", "private"].contains(first) { words.removeFirst() }
            guard words.count >= 2, words[0] == "import" else { return nil }
            return String(words[words.count == 2 ? 1 : 2].split(separator: ".")[0])
        }
    }

    static func problem(with arrow: Arrow, targets: [String: String]) -> String? {
        guard let from = targets[arrow.from], let fromRank = layers.firstIndex(of: from) else { return "unknown target" }
        guard let to = targets[arrow.to], let toRank = layers.firstIndex(of: to) else {
            guard system.contains(arrow.to) else { return "neither a target nor part of the toolchain" }
            guard from == "Core", !systemOfCore.contains(arrow.to) else { return nil }
            return arrow.to == "Glibc" && coreWithLibrary.contains(arrow.from) ? nil : "reaches for the system from Core"
        }
        if arrow.from == arrow.to { return "imports itself" }
        if toRank > fromRank { return "points up" }
        guard toRank == fromRank else { return nil }
        if withoutSiblings.contains(from) { return "points sideways" }
        guard let order = order[from], let own = order.firstIndex(of: arrow.from), let other = order.firstIndex(of: arrow.to) else {
            return "is not in the order of its layer; add the target to LayerTests.order"
        }
        return other < own ? nil : "points against the order of its layer"
    }

    @Test("no import points up, or sideways between services or faces")
    func arrowsPointDown() throws {
        let targets = try Self.targets()
        let arrows = try Self.arrows(of: targets)
        #expect(arrows.count > 30, "the imports were not found; the test would prove nothing")
        let problems = arrows.compactMap { arrow in Self.problem(with: arrow, targets: targets).map { "\(arrow): \($0)" } }
        #expect(problems == [])
    }

    @Test(
        "the rules find each kind of wrong arrow",
        arguments: [
            ("ApusTypes", "ApusRuntime"), ("ApusVectors", "ApusCluster"), ("VectorizerFace", "ConsoleFace"),
            ("QdrantFace", "VectorizerFace"),
            ("ApusCatalog", "ApusStore"), ("ApusTypes", "ApusConfig"), ("ApusHTTP", "VectorizerFace"), ("ApusTypes", "NIOCore"),
            ("ApusTypes", "Glibc"), ("ApusMembership", "Dispatch"), ("ApusVectorIndex", "Foundation"),
        ])
    func wrongArrows(from: String, to: String) throws {
        let targets = try Self.targets()
        #expect(Self.problem(with: Arrow(file: "x.swift", from: from, to: to), targets: targets) != nil)
    }

    @Test("imports are read in every form in which Swift writes them")
    func forms() {
        let text = """
            import A
            public import B
            @testable import C
            @preconcurrency internal import D
            import struct E.Thing
            import F.Part
            // import G
            let x = "import H"
            """
        #expect(Self.imports(in: text) == ["A", "B", "C", "D", "E", "F"])
    }

    @Test("every folder of sources and tests is a target: nothing lies beside the build")
    func folders() throws {
        let manifest = try String(contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8)
        func names(_ path: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: path).path).filter { !$0.hasPrefix(".") }
        }
        var folders = Array(try Self.targets().keys)
        // Beside the benchmarks' program lie its results, data, and what runs the peers, which is not Swift.
        folders +=
            try names("Tests").filter { $0 != "Kits" } + names("Benchmarks").filter { !["data", "load", "peers", "results"].contains($0) }
        folders += try names("Tests/Kits").map { $0 == "StoreLab" ? "store-lab" : $0 }
        #expect(folders.count > 40)
        for folder in folders { #expect(manifest.contains("\"\(folder)\""), "\(folder) is in no target") }
    }

    @Test("nothing uses what Swift's runtime is known to abort on (CONTRIBUTING.md)")
    func asyncLet() throws {
        let words = "async" + " let"
        var files = 0
        for folder in ["Sources", "Tests", "Benchmarks", "Fuzz"] {
            let names = FileManager.default.enumerator(atPath: Self.root.appending(path: folder).path)?.compactMap { $0 as? String } ?? []
            for name in names where name.hasSuffix(".swift") {
                files += 1
                let text = try String(contentsOf: Self.root.appending(path: "\(folder)/\(name)"), encoding: .utf8)
                let isUsed = text.contains(words)
                #expect(!isUsed, "\(folder)/\(name)")
            }
        }
        #expect(files > 200, "the files were not found; the test would prove nothing")
    }
}
