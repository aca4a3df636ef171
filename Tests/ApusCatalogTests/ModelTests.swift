import ApusDatabase
import ApusTypes
import Testing

@testable import ApusCatalog

@Suite("models in the catalog")
struct ModelTests {
    static func key() -> ObjectKey {
        var generator = SystemRandomNumberGenerator()
        return ObjectKey.random(using: &generator)
    }

    @Test("a model is named once its object was announced, and protects it until it is removed", arguments: Backend.allCases)
    func life(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let (object, other) = (Self.key(), Self.key())
            func add(_ name: String, _ key: ObjectKey) async throws -> ModelRow {
                try await catalog.models.add(name, object: key, size: ByteCount(7), description: "{}", deadline: lab.deadline)
            }
            #expect(try await apusError { try await add("m", object) }.code == .intentLost)
            try await catalog.objects.record(object, by: "n1", deadline: lab.deadline)
            let row = try await add("m", object)
            #expect(try await catalog.models.list(deadline: lab.deadline) == [row])
            #expect(try await catalog.models.find("m", deadline: lab.deadline) == row)
            #expect(try await catalog.objects.counts(deadline: lab.deadline) == (0, 0))
            // Its object is nobody's stray; another one is.
            #expect(try await catalog.objects.unnamed(among: [object, other], leader: nil, deadline: lab.deadline) == [other])

            // A name that is taken loses nothing: the intent of the second object is still there for the collector.
            try await catalog.objects.record(other, by: "n1", deadline: lab.deadline)
            #expect(try await apusError { try await add("m", other) }.code == .modelExists)
            #expect(try await catalog.objects.counts(deadline: lab.deadline) == (1, 0))

            _ = try await catalog.collections.create("c", configuration: "uses m", shardCount: 1, deadline: lab.deadline)
            let used = try await apusError {
                try await catalog.models.remove("m", unless: { $0 == "uses m" }, deadline: lab.deadline)
            }
            #expect(used.code == .modelInUse && used.summary.contains("'c'"))
            #expect(try await catalog.models.find("m", deadline: lab.deadline) == row)
            try await catalog.models.remove("m", unless: { $0 == "uses n" }, deadline: lab.deadline)
            #expect(try await catalog.models.find("m", deadline: lab.deadline) == nil)
            #expect(try await catalog.objects.counts(deadline: lab.deadline) == (1, 1))
            let gone = try await apusError { try await catalog.models.remove("m", unless: { _ in false }, deadline: lab.deadline) }
            #expect(gone.code == .modelUnknown)
            // Added, a collection, removed.
            #expect(try await catalog.feed.head(deadline: lab.deadline).version == 3)
        }
    }
}
