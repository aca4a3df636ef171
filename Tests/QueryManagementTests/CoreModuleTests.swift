import ApusDatabase
import Testing

@testable import ApusQuery

@Suite("the schema of the module core")
struct CoreModuleTests {
    @Test("it compiles for both catalogs", arguments: [SQLDialect.sqlite, .postgreSQL])
    func compiles(dialect: SQLDialect) throws {
        let output = SchemaCompiler().compile(CoreModule.inputs(dialect))
        #expect(output.suspended == [:])
    }
}
