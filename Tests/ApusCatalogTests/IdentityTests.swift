import ApusDatabase
import ApusRuntime
import ApusTypes
import Testing

@testable import ApusCatalog

@Suite("the catalog's clock and identity")
struct IdentityTests {
    @Test("the clock is the wall clock, and moves by its offset", arguments: Backend.allCases)
    func clock(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            func now() async throws -> Int64 {
                try await catalog.read([.init("SELECT " + lab.database.dialect.clock)], deadline: lab.deadline)[0][0].integer(0)
            }
            let wall = lab.clock.wallTime.millisecondsSinceEpoch
            #expect(abs(try await now() - wall) < 30_000)
            try await lab.run("UPDATE apus.clock_offset SET milliseconds = 7200000")
            #expect(abs(try await now() - wall - 7_200_000) < 30_000)
        }
    }

    @Test("an incarnation changes when a backup was restored, and only then", arguments: Backend.allCases)
    func incarnation(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            try await lab.withAnother { other in
                #expect(catalog.incarnation == other.incarnation)
                #expect(catalog.incarnation.system != 0)
                #expect(catalog.incarnation.timeline == 1)
                try await catalog.markRestored(deadline: lab.deadline)
                #expect(catalog.incarnation.restores == 1)
                _ = try await other.feed.head(deadline: lab.deadline)
                #expect(other.incarnation == catalog.incarnation)
            }
        }
    }

    @Test("two catalogs never have the same identity", arguments: Backend.allCases)
    func unique(backend: Backend) async throws {
        try await CatalogLab.with(backend) { first in
            try await CatalogLab.with(backend) { second in
                let one = try await first.open().identity
                #expect(one.id.utf8.count == 32)
                #expect(try await second.open().identity.id != one.id)
                #expect(try await first.open().identity == one)
            }
        }
    }
}
