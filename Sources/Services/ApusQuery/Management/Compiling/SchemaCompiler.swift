internal import ApusGraphQL
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

    /// `inputs` come in the order in which they were registered. A source that does not fit, by itself or beside those before it, is left out,
    /// and the others go on. What is made depends on the inputs alone, so that every node makes the same.
    public func compile(_ inputs: [Input]) -> Output {
        var left: [SchemaProblems] = []
        var returned: Set<String> = []
        while true {
            let fitting = inputs.filter { input in !left.contains { $0.source == input.source.name } }
            do throws(SchemaProblems) {
                let api = try api(of: fitting)
                // Who was left out because of one that is left out itself is tried once more; then so is who misses something.
                if let index = left.firstIndex(where: { problems in
                    let isFree = problems.beside.map { other in left.contains { $0.source == other } } ?? !returned.isEmpty
                    return isFree && returned.insert(problems.source).inserted
                }) {
                    left.remove(at: index)
                    continue
                }
                forget(besides: fitting)
                let suspended = Dictionary(left.map { ($0.source, $0.description) }, uniquingKeysWith: { first, _ in first })
                return Output(api: api, suspended: suspended)
            } catch {
                precondition(fitting.contains { $0.source.name == error.source }, "a problem belongs to one of the sources")
                left.append(error)
            }
        }
    }

    private func api(of inputs: [Input]) throws(SchemaProblems) -> DataAPI {
        do { return try DataAPI(of: try model(inputs)) } catch let problems as SchemaProblems { throw problems } catch {
            throw culprit(among: inputs, error as? GraphQLErrors)
        }
    }

    /// Whose fault it is that the sources fit and their API is no schema: the last of a beginning that fails, whose own beginning does not.
    private func culprit(among inputs: [Input], _ errors: GraphQLErrors?) -> SchemaProblems {
        precondition(!inputs.isEmpty, "the API of no source is a constant, which tests build")
        // Extensions come last: they need the others.
        let inputs = inputs.filter { $0.source.kind != .extension } + inputs.filter { $0.source.kind == .extension }
        var (good, bad, errors) = (0, inputs.count, errors ?? GraphQLErrors([GraphQLError("its errors are not known")]))
        while bad - good > 1 {
            let middle = (good + bad) / 2
            if let failure = failure(of: inputs.prefix(middle)) { (bad, errors) = (middle, failure) } else { good = middle }
        }
        return SchemaProblems(source: inputs[bad - 1].source.name, api: errors)
    }

    /// Why what fits of these sources has no API; nil where it has one.
    private func failure(of inputs: some Sequence<Input>) -> GraphQLErrors? {
        var inputs = Array(inputs)
        while true {
            do {
                _ = try DataAPI(of: try model(inputs))
                return nil
            } catch let problems as SchemaProblems {
                inputs.removeAll { $0.source.name == problems.source }
            } catch {
                return error as? GraphQLErrors
            }
        }
    }

    private func model(_ inputs: [Input]) throws(SchemaProblems) -> DataModel {
        var schemas: [String: SourceSchema] = [:]
        func joined() throws(SchemaProblems) -> DataModel { try DataModel(joining: inputs.compactMap { schemas[$0.source.name] }) }
        for input in inputs where input.source.kind != .extension {
            do throws(SchemaProblems) { schemas[input.source.name] = try schema(of: input) } catch {
                throw explained(error, input, beside: inputs)
            }
        }
        let base = try joined()
        let extensions = inputs.filter { $0.source.kind == .extension }
        guard !extensions.isEmpty else { return base }
        for input in extensions {
            let files = input.files.map { $0.without { base.sources[$0] == nil } }
            schemas[input.source.name] = try SchemaReader.read(files, of: input.source, beside: base)
        }
        return try joined()
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
