// swift-tools-version: 6.2
import PackageDescription

// The folders under Sources/ are the layers of ARCHITECTURE.md. Arrows only point down:
// apus -> Faces -> Services -> IO -> Core -> C. `LayerTests` reads the imports and fails on any other arrow.

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// What `scripts/setup` builds from pinned archives: headers and static libraries.
let deps = Context.packageDirectory + "/.deps"

func core(_ name: String, _ dependencies: [Target.Dependency] = [], linker: [LinkerSetting] = []) -> Target {
    layer("Core", name, dependencies, linker: linker)
}
func io(_ name: String, _ dependencies: [Target.Dependency], linker: [LinkerSetting] = []) -> Target {
    layer("IO", name, dependencies, linker: linker)
}
func service(_ name: String, _ dependencies: [Target.Dependency]) -> Target { layer("Services", name, dependencies) }
func face(_ name: String, _ dependencies: [Target.Dependency]) -> Target { layer("Faces", name, dependencies) }
func layer(_ layer: String, _ name: String, _ dependencies: [Target.Dependency], linker: [LinkerSetting] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(layer)/\(name)", swiftSettings: swiftSettings,
        linkerSettings: linker)
}
func system(_ name: String, pkgConfig: String? = nil) -> Target {
    .systemLibrary(name: name, path: "Sources/C/\(name)", pkgConfig: pkgConfig)
}
/// A test kit: what tests of several targets share.
func kit(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Tests/Kits/\(name)", swiftSettings: swiftSettings)
}
func tests(_ name: String, _ dependencies: [Target.Dependency], excluding: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: excluding, swiftSettings: swiftSettings)
}

let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus", targets: ["apus"]),
        // Preloaded into one process of the power loss laws; linked into anything, it would take the place of the C library there.
        .library(name: "PowerLossRecorder", type: .dynamic, targets: ["PowerLossRecorder"]),
    ],
    targets: [
        // C: what is foreign
        system("CUV", pkgConfig: "libuv"),
        system("CPostgreSQL", pkgConfig: "libpq"),
        system("CSQLite", pkgConfig: "sqlite3"),
        system("CYAML", pkgConfig: "yaml-0.1"),
        system("COpenSSL", pkgConfig: "openssl"),
        system("CZlib", pkgConfig: "zlib"),
        system("CXXHash", pkgConfig: "libxxhash"),
        system("CH3"),
        system("CLLHTTP"),
        system("CMemcached"),
        .target(name: "CHiredis", path: "Sources/C/CHiredis", linkerSettings: [.linkedLibrary("hiredis"), .linkedLibrary("uv")]),
        system("CMPack"),
        .target(name: "CJQ", path: "Sources/C/CJQ", linkerSettings: [.linkedLibrary("jq")]),
        .target(name: "CDuckDB", path: "Sources/C/CDuckDB"),
        system("CNanoarrow"),
        .target(name: "CLinux", path: "Sources/C/CLinux"),
        .target(
            name: "CSimdjson", path: "Sources/C/CSimdjson", cxxSettings: [.unsafeFlags(["-O3"])],
            linkerSettings: [.linkedLibrary("simdjson"), .linkedLibrary("m")]),
        .target(
            name: "CGRPC", path: "Sources/C/CGRPC", exclude: ["protos"], linkerSettings: [.linkedLibrary("grpc"), .linkedLibrary("gpr")]),
        .target(name: "CVectorKernels", path: "Sources/C/CVectorKernels", cSettings: [.unsafeFlags(["-O3"])]),
        .target(name: "CVectorGraph", path: "Sources/C/CVectorGraph", cSettings: [.unsafeFlags(["-O3"])]),
        .target(name: "CTransformer", path: "Sources/C/CTransformer", exclude: ["kernels.inc"], cSettings: [.unsafeFlags(["-O3"])]),

        // Core: pure values and algorithms
        core("ApusTypes", ["COpenSSL", "CSimdjson"]),
        core("ApusConfig", ["ApusTypes", "CYAML"]),
        core("ApusPlacement", ["ApusTypes", "CXXHash"]),
        core("ApusMembership", ["ApusTypes"]),
        core("ApusThunder", ["ApusTypes", "CMPack"]),
        core("ApusVectorIndex", ["ApusTypes", "CVectorGraph", "CVectorKernels", "CXXHash"]),
        core("ApusEmbedding", ["ApusTypes", "CTransformer"]),
        core("ApusRender", ["ApusTypes"]),
        core("ApusGraphQL", ["ApusTypes"]),
        core("ApusTokens", ["ApusTypes", "COpenSSL"]),
        core("ApusSchemas", ["ApusTypes", "ApusGraphQL"]),
        core("ApusArrow", ["CNanoarrow"], linker: [.unsafeFlags(["-L\(deps)/lib"])]),
        core("ApusCells", ["CH3"], linker: [.unsafeFlags(["-L\(deps)/lib"])]),
        core("ApusQueryPlan", ["ApusTypes", "ApusArrow", "ApusCells", "ApusGraphQL", "ApusSchemas"]),

        // IO: effects
        io("ApusRuntime", ["ApusTypes", "CUV", "CLinux"]),
        io("ApusDatabase", ["ApusTypes", "ApusQueryPlan", "ApusRuntime", "CDuckDB", "CPostgreSQL", "CSQLite", "CUV", "COpenSSL"]),
        io("ApusCatalog", ["ApusTypes", "ApusMembership", "ApusRuntime", "ApusDatabase"]),
        io("ApusCache", ["ApusTypes", "ApusRuntime", "CHiredis", "CMemcached"]),
        io("ApusStore", ["ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "COpenSSL", "CXXHash", "CLinux"]),
        io("ApusSockets", ["ApusTypes", "ApusRuntime", "CUV", "CLinux"]),
        io(
            "ApusHTTP", ["ApusTypes", "ApusRuntime", "ApusSockets", "CUV", "CLLHTTP", "COpenSSL", "CZlib", "CLinux"],
            linker: [.unsafeFlags(["-L\(deps)/lib"])]),
        io("ApusRPC", ["ApusTypes", "ApusRuntime", "ApusSockets", "CGRPC", "COpenSSL"]),

        // Services: what users came for
        service("ApusCluster", ["ApusTypes", "ApusMembership", "ApusRuntime", "ApusDatabase", "ApusCatalog", "ApusStore"]),
        service(
            "ApusVectors",
            ["ApusTypes", "ApusRuntime", "ApusPlacement", "ApusVectorIndex", "ApusEmbedding", "ApusCatalog", "ApusStore"]),
        service(
            "ApusQuery",
            [
                "ApusTypes", "ApusConfig", "ApusTokens", "ApusGraphQL", "ApusSchemas", "ApusQueryPlan", "ApusVectorIndex", "ApusRuntime",
                "ApusDatabase", "ApusCatalog", "ApusHTTP", "ApusCache",
            ]),

        // Faces: one per client protocol
        face(
            "ConsoleFace",
            ["ApusTypes", "ApusRuntime", "ApusVectorIndex", "ApusHTTP", "ApusCatalog", "ApusDatabase", "ApusCluster", "ApusVectors"]),
        face(
            "VectorizerFace",
            [
                "ApusTypes", "ApusThunder", "ApusRuntime", "ApusVectorIndex", "ApusEmbedding", "ApusSockets", "ApusHTTP", "ApusCatalog",
                "ApusCluster", "ApusVectors",
            ]),

        face(
            "QdrantFace",
            ["ApusTypes", "ApusRuntime", "ApusVectorIndex", "ApusHTTP", "ApusCatalog", "ApusCluster", "ApusVectors"]),

        face("HugrFace", ["ApusTypes", "ApusGraphQL", "ApusQueryPlan", "ApusRuntime", "ApusHTTP", "ApusCatalog", "ApusQuery"]),

        .executableTarget(
            name: "apus",
            dependencies: [
                "ApusTypes", "ApusConfig", "ApusTokens", "ApusGraphQL", "ApusSchemas", "ApusQueryPlan", "ApusThunder", "ApusVectorIndex",
                "ApusRender",
                "ApusRuntime", "ApusDatabase", "ApusCatalog",
                "ApusStore", "ApusSockets", "ApusHTTP", "ApusRPC", "ApusCluster", "ApusMembership", "ApusVectors", "ApusEmbedding",
                "ConsoleFace",
                "ApusQuery", "HugrFace", "QdrantFace", "VectorizerFace", "CJQ", "CLinux", "CZlib",
            ],
            path: "Sources/apus", swiftSettings: swiftSettings),

        tests("ApusTypesTests", ["ApusTypes"]),
        tests("ApusTokensTests", ["ApusTypes", "ApusTokens"]),
        tests("ApusRuntimeTests", ["ApusRuntime", "ApusTypes"]),
        tests("ApusConfigTests", ["ApusConfig", "ApusTypes", "TestKit"]),
        kit("TestKit", ["ApusTypes", "ApusRuntime"]),
        kit("DatabaseTestKit", ["ApusTypes", "ApusRuntime", "ApusDatabase", "TestKit"]),
        tests("ApusMembershipTests", ["ApusMembership", "ApusTypes", "TestKit"]),
        tests("ApusDatabaseTests", ["ApusDatabase", "ApusRuntime", "ApusTypes", "TestKit", "DatabaseTestKit"]),
        kit("CatalogTestKit", ["ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "TestKit"]),
        .executableTarget(
            name: "apus-bench",
            dependencies: [
                "ApusTypes", "ApusGraphQL", "ApusSchemas", "ApusQueryPlan", "ApusPlacement", "ApusRuntime", "ApusDatabase", "ApusCatalog",
                "ApusStore", "ApusHTTP", "ApusRPC",
                "ApusVectorIndex",
                "ApusEmbedding", "TestKit", "DatabaseTestKit", "NodeProcessKit",
            ],
            path: "Benchmarks/apus-bench", swiftSettings: swiftSettings),
        .executableTarget(
            name: "LawProcess", dependencies: ["ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "CatalogTestKit"],
            path: "Tests/Kits/LawProcess", swiftSettings: swiftSettings),
        tests(
            "ApusCatalogTests",
            ["ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "TestKit", "CatalogTestKit", "DatabaseTestKit", "LawProcess"]),
        tests(
            "CatalogProcessTests",
            ["ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "TestKit", "CatalogTestKit", "DatabaseTestKit", "LawProcess"]),
        kit("CacheModelKit", ["ApusTypes", "ApusCache"]),
        tests("ApusCacheTests", ["ApusCache", "ApusRuntime", "ApusTypes", "TestKit", "CacheModelKit"]),
        kit("HTTPTestKit", ["ApusTypes", "ApusRuntime", "ApusHTTP"]),
        tests("ApusHTTPTests", ["ApusTypes", "ApusRuntime", "ApusHTTP", "HTTPTestKit"]),
        .target(name: "PowerLossRecorder", path: "Tests/Kits/PowerLossRecorder"),
        .target(  // optimised: it replays megabytes a thousand times
            name: "PowerLossKit", path: "Tests/Kits/PowerLossKit", swiftSettings: swiftSettings + [.unsafeFlags(["-O"])]),
        .executableTarget(
            name: "store-lab", dependencies: ["PowerLossKit", "ApusStore", "ApusCatalog", "ApusDatabase", "ApusRuntime", "ApusTypes"],
            path: "Tests/Kits/StoreLab", swiftSettings: swiftSettings),
        tests(
            "ApusStoreTests",
            [
                "ApusStore", "ApusCatalog", "ApusDatabase", "ApusRuntime", "ApusTypes", "TestKit", "DatabaseTestKit", "PowerLossKit",
                "store-lab",
            ]),
        tests(
            "ApusHTTPFeatureTests", ["ApusTypes", "ApusRuntime", "ApusSockets", "ApusHTTP", "TestKit", "HTTPTestKit", "CZlib", "CLinux"]),
        tests("SmugglingTests", ["ApusTypes", "ApusRuntime", "ApusHTTP", "TestKit", "HTTPTestKit"]),
        kit("NodeProcessKit", ["ApusTypes", "ApusRuntime", "ApusHTTP", "TestKit", "DatabaseTestKit"]),
        tests(
            "CommandLineTests",
            [
                "apus", "ApusConfig", "ApusRuntime", "ApusTypes", "ApusHTTP", "ApusRender", "TestKit", "HTTPTestKit", "NodeProcessKit",
                "ApusEmbedding",
                "EmbeddingTestKit",
            ]),
        tests(
            "NodeTests",
            ["ApusTypes", "ApusRuntime", "ApusDatabase", "ApusHTTP", "TestKit", "HTTPTestKit", "NodeProcessKit", "apus"]),
        tests(
            "ClusterProcessTests",
            ["ApusTypes", "ApusRuntime", "ApusHTTP", "TestKit", "HTTPTestKit", "DatabaseTestKit", "NodeProcessKit", "apus"]),
        kit("NemesisKit", ["ApusTypes"]),
        tests("NemesisTests", ["ApusTypes", "ApusRuntime", "NemesisKit", "TestKit", "apus-nemesis", "apus"]),
        .executableTarget(
            name: "apus-nemesis",
            dependencies: ["ApusTypes", "ApusRuntime", "ApusHTTP", "NemesisKit", "TestKit", "DatabaseTestKit"],
            path: "Tests/apus-nemesis", swiftSettings: swiftSettings),
        tests("LayerTests", []),
        kit(
            "NodeTestKit",
            [
                "ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "ApusStore", "ApusSockets", "ApusHTTP", "ApusCluster",
                "ApusVectorIndex", "ApusVectors",
                "VectorizerFace", "QdrantFace", "ConsoleFace", "TestKit", "DatabaseTestKit", "HTTPTestKit",
            ]),
        tests(
            "VectorizerFaceTests",
            [
                "ApusTypes", "ApusConfig", "ApusRuntime", "ApusCatalog", "ApusHTTP", "ApusVectorIndex", "ApusCluster", "ApusVectors",
                "VectorizerFace", "NodeTestKit", "TestKit", "DatabaseTestKit", "HTTPTestKit", "ApusEmbedding", "EmbeddingTestKit",
            ]),
        .testTarget(
            name: "QdrantFaceTests",
            dependencies: [
                "ApusTypes", "ApusRuntime", "ApusHTTP", "ApusDatabase", "ApusCatalog", "ApusStore", "NodeProcessKit", "NodeTestKit",
                "TestKit", "apus",
            ], path: "Tests/QdrantFaceTests", exclude: ["client"], swiftSettings: swiftSettings),
        .executableTarget(name: "JQProcess", dependencies: ["CJQ"], path: "Tests/Kits/JQProcess", swiftSettings: swiftSettings),
        tests(
            "ApusQueryTests",
            [
                "JQProcess",
                "ApusTypes", "ApusGraphQL", "ApusSchemas", "ApusQueryPlan", "ApusVectorIndex", "ApusRuntime", "ApusDatabase", "ApusHTTP",
                "ApusCache", "ApusQuery", "TestKit", "HTTPTestKit", "CacheModelKit",
            ]),
        tests(
            "HugrFaceTests",
            [
                "ApusTypes", "ApusRuntime", "ApusDatabase", "ApusHTTP", "NodeProcessKit", "NodeTestKit", "DatabaseTestKit", "HTTPTestKit",
                "TestKit", "HugrSuiteKit", "COpenSSL", "apus",
            ],
            excluding: ["client"]),
        tests(
            "VectorizerRPCTests",
            [
                "ApusTypes", "ApusThunder", "ApusRuntime", "ApusCatalog", "ApusHTTP", "ApusCluster", "ApusVectors", "ApusVectorIndex",
                "VectorizerFace", "NodeTestKit", "NodeProcessKit", "TestKit", "DatabaseTestKit", "HTTPTestKit", "apus",
            ], excluding: ["Client"]),
        tests(
            "ApusClusterTests",
            ["ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "ApusCluster", "NodeTestKit", "TestKit", "DatabaseTestKit"]),
        tests(
            "TrustTests",
            [
                "ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "ApusSockets", "ApusHTTP", "ApusCluster", "NodeTestKit",
                "ApusVectors", "ApusVectorIndex", "ApusThunder", "VectorizerFace", "TestKit", "DatabaseTestKit", "HTTPTestKit",
            ]),
        tests("ApusPlacementTests", ["ApusPlacement", "ApusTypes", "TestKit"]),
        tests("ApusThunderTests", ["ApusThunder", "ApusTypes", "TestKit"]),
        tests("ApusGraphQLTests", ["ApusGraphQL", "ApusTypes"]),
        .target(
            name: "HugrSuiteKit", path: "Tests/Kits/HugrSuiteKit", exclude: ["Suite"], swiftSettings: swiftSettings),
        tests("ApusCellsTests", ["ApusCells"]),
        tests("ApusSchemasTests", ["ApusSchemas", "ApusGraphQL", "ApusTypes", "HugrSuiteKit"], excluding: ["Fixtures"]),
        tests("ApusQueryPlanTests", ["ApusQueryPlan", "ApusSchemas", "ApusGraphQL", "ApusTypes", "HugrSuiteKit"], excluding: ["Cases"]),
        tests(
            "QueryManagementTests",
            [
                "ApusQuery", "ApusQueryPlan", "ApusSchemas", "ApusGraphQL", "ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog",
                "TestKit", "DatabaseTestKit",
            ]),
        tests(
            "QueryClusterTests",
            ["ApusTypes", "ApusRuntime", "ApusDatabase", "ApusHTTP", "TestKit", "DatabaseTestKit", "NodeProcessKit", "apus"]),
        tests(
            "QueryPlanDatabaseTests",
            [
                "ApusQueryPlan", "ApusSchemas", "ApusGraphQL", "ApusTypes", "ApusRuntime", "ApusDatabase", "TestKit", "DatabaseTestKit",
                "HugrSuiteKit",
            ]),
        tests(
            "GraphQLConformanceTests", ["ApusTypes", "ApusRuntime", "NodeProcessKit", "NodeTestKit", "TestKit", "apus"],
            excluding: ["judge", "outcomes.txt"]),
        tests(
            "ApusRenderTests", ["ApusRender", "ApusTypes", "ApusRuntime", "ApusHTTP", "TestKit", "HTTPTestKit"], excluding: ["Golden"]),
        tests("ApusRPCTests", ["ApusRPC", "ApusRuntime", "ApusTypes", "TestKit"], excluding: ["client"]),
        tests("ApusSocketsTests", ["ApusSockets", "ApusRuntime", "ApusTypes", "TestKit", "HTTPTestKit"]),
        kit("EmbeddingTestKit", ["ApusTypes", "ApusEmbedding", "TestKit"]),
        tests("ApusEmbeddingTests", ["ApusTypes", "ApusEmbedding", "CTransformer", "TestKit", "EmbeddingTestKit"]),
        tests("ApusVectorIndexTests", ["ApusTypes", "ApusVectorIndex", "TestKit"], excluding: ["Samples"]),
        tests(
            "ApusVectorsTests",
            [
                "ApusTypes", "ApusRuntime", "ApusDatabase", "ApusCatalog", "ApusStore", "ApusVectorIndex", "ApusEmbedding", "ApusVectors",
                "TestKit",
                "DatabaseTestKit", "EmbeddingTestKit",
            ]),
    ],
    cxxLanguageStandard: .cxx17
)

// The fuzz targets link libFuzzer, so they exist only for `scripts/fuzz`.
if Context.environment["APUS_FUZZ"] != nil {
    package.targets += [
        .systemLibrary(name: "CFuzzer", path: "Fuzz/CFuzzer"),
        .executableTarget(
            name: "apus-fuzz",
            dependencies: [
                "CFuzzer", "ApusTypes", "ApusConfig", "ApusGraphQL", "ApusSchemas", "ApusCells", "ApusQueryPlan", "ApusThunder",
                "ApusRuntime",
                "ApusHTTP",
                "ApusVectorIndex",
                "ApusEmbedding",
                "QdrantFace", "VectorizerFace",
            ],
            path: "Fuzz/Targets", swiftSettings: swiftSettings),
    ]
}
