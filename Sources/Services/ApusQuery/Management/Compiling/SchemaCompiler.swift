public import ApusGraphQL
public import ApusSchemas
internal import ApusTypes
internal import Synchronization

/// Makes one API of what sources say of themselves. What was read of a text is remembered for the next time: most changes are of one source
/// among many.
public final class SchemaCompiler: Sendable {
    /// A source with its schema's texts.
    public struct Input: Sendable, Hashable {
        public var source: SourceDescription
        public var files: [SchemaFile]

        public init(_ source: SourceDescription, files: [SchemaFile]) {
            self.source = source
            self.files = files
        }
    }

    public struct Output: Sendable {
        public var api: DataAPI
        /// Why sources are left out, by their names.
        public var suspended: [String: String] = [:]
    }

    private let read = Mutex<[String: (input: Input, schema: SourceSchema)]>([:])

    public init() {}

    /// A source that does not fit, by itself or beside those before it, is left out, and the others go on. Throws where the sources fit and
    /// their API does not.
    public func compile(_ inputs: [Input]) throws(GraphQLErrors) -> Output {
        var inputs = inputs
        var suspended: [String: String] = [:]
        while true {
            let model: DataModel
            do throws(SchemaProblems) {
                model = try self.model(inputs)
            } catch {
                suspended[error.source] = error.description
                let before = inputs.count
                inputs.removeAll { $0.source.name == error.source }
                precondition(inputs.count < before, "a problem belongs to one of the sources")
                continue
            }
            forget(besides: inputs)
            return Output(api: try DataAPI(of: model), suspended: suspended)
        }
    }

    private func model(_ inputs: [Input]) throws(SchemaProblems) -> DataModel {
        var schemas: [SourceSchema] = []
        for input in inputs where input.source.kind != .extension {
            do throws(SchemaProblems) { schemas.append(try schema(of: input)) } catch { throw explained(error, input, beside: inputs) }
        }
        let base = try DataModel(joining: schemas)
        let extensions = inputs.filter { $0.source.kind == .extension }
        guard !extensions.isEmpty else { return base }
        for input in extensions {
            let files = input.files.map { $0.without { base.sources[$0] == nil } }
            schemas.append(try SchemaReader.read(files, of: input.source, beside: base))
        }
        return try DataModel(joining: schemas)
    }

    private func schema(of input: Input) throws(SchemaProblems) -> SourceSchema {
        if let known = read.withLock({ $0[input.source.name] }), known.input == input { return known.schema }
        let schema = try SchemaReader.read(input.files, of: input.source)
        read.withLock { $0[input.source.name] = (input, schema) }
        return schema
    }

    /// The problems of a source once more with what the others have: what it wants of theirs is said to be theirs.
    private func explained(_ problems: SchemaProblems, _ input: Input, beside inputs: [Input]) -> SchemaProblems {
        let others = inputs.filter { $0.source.name != input.source.name && $0.source.kind != .extension }
        // Those that are wrong themselves have their turn.
        guard let model = try? DataModel(joining: others.compactMap({ try? schema(of: $0) })) else { return problems }
        do throws(SchemaProblems) {
            _ = try SchemaReader.read(input.files, of: input.source, beside: model)
            return problems
        } catch {
            return error
        }
    }

    private func forget(besides inputs: [Input]) {
        let names = Set(inputs.map(\.source.name))
        read.withLock { read in read = read.filter { names.contains($0.key) } }
    }
}
