internal import ApusGraphQL
internal import ApusRuntime
internal import ApusSchemas
internal import Synchronization

/// Operations that were parsed, validated and found, or refused, by their text and the version of the schema. Each loop has its own, so that
/// loops do not wait for each other.
final class OperationCache: Sendable {
    private struct Key: Hashable {
        var text: [UInt8]
        var name: String?
        var version: UInt64

        func hash(into hasher: inout Hasher) {
            text.withUnsafeBytes { hasher.combine(bytes: $0) }
            hasher.combine(version)
        }
    }

    private enum Known {
        case ready(PreparedOperation)
        case refused(GraphQLErrors)
    }

    private final class Shard: Sendable {
        let cache: Mutex<BoundedCache<Key, Known>>

        init(capacity: Int) { cache = Mutex(BoundedCache(capacity: capacity)) }
    }

    private let shards: [Shard]
    private let limits: OperationLimits

    /// `capacity`: bytes of text of each loop; an operation takes some five times that.
    init(loops: Int, capacity: Int, limits: OperationLimits) {
        shards = (0..<max(1, loops)).map { _ in Shard(capacity: capacity) }
        self.limits = limits
    }

    func operation(_ text: [UInt8], name: String?, in schema: ServedSchema) throws(GraphQLErrors) -> PreparedOperation {
        let shard = shards[max(0, EventLoop.current?.index ?? 0) % shards.count]
        let key = Key(text: text, name: name, version: schema.version)
        // A large text takes longer to be checked than others should wait; two may check it at once.
        var known = shard.cache.withLock { $0.value(for: key) }
        if known == nil {
            let checked = check(text, name, schema.api.schema)
            shard.cache.withLock { $0.insert(checked, for: key, weight: text.count + 256) }
            known = checked
        }
        switch known {
        case .ready(let operation)?: return operation
        case .refused(let errors)?: throw errors
        case nil: preconditionFailure("it was checked above")
        }
    }

    private func check(_ text: [UInt8], _ name: String?, _ schema: GraphQLSchema) -> Known {
        do throws(GraphQLErrors) {
            let document: GraphQLDocument
            do throws(GraphQLError) { document = try GraphQLDocument(parsing: text) } catch { throw GraphQLErrors([error]) }
            let problems = schema.problems(with: document)
            if !problems.isEmpty { throw GraphQLErrors(problems) }
            return .ready(try PreparedOperation(document, schema: schema, name: name, limits: limits))
        } catch {
            return .refused(error)
        }
    }
}
