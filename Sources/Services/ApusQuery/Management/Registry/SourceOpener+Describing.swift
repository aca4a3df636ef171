internal import ApusRuntime
public import ApusSchemas
internal import ApusTypes

extension SourceOpener {
    /// What a source says of its own tables, as one more text of its schema. It is opened for that alone.
    public func describe(_ definition: SourceDefinition) async throws -> [SchemaFile] {
        if definition.kind == .vectors {
            return [
                try await SelfDescription.file(
                    of: try collections(definition), definition, deadline: BootClock.now.advanced(by: .seconds(5)))
            ]
        }
        if definition.kind == .http {
            let path = try SourceDefinition.resolved(definition.path, environment: environment)
            return [
                try await SelfDescription.file(
                    of: definition, at: path, client: http, pool: pool, deadline: BootClock.now.advanced(by: .seconds(10)))
            ]
        }
        guard let source = try await open(definition) else { return [] }
        do {
            guard let speaking = source as? any SQLSource else { throw Self.unsupported(definition) }
            let file = try await SelfDescription.file(
                of: speaking, besides: definition.files, deadline: BootClock.now.advanced(by: .seconds(5)))
            await source.close()
            return [file]
        } catch {
            await source.close()
            throw error
        }
    }
}
