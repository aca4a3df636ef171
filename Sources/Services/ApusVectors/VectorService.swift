public import ApusCatalog
public import ApusTypes
public import ApusVectorIndex

/// The vectors service of one node: collections of points in sharded, exactly searchable memory that follows the catalog's logs.
///
/// A write is encoded for each shard, appended to the logs in one transaction, applied to memory in the order of the log, and then
/// acknowledged, so that the next search sees it. Nothing is kept that the logs cannot rebuild.
///
/// `operation` is what a write is recognised by when its client sends it again: the first outcome is given again.
public final class VectorService: Sendable {
    // MARK: Collections

    /// Throws `request.invalid` for a bad name, dimension or shard count, `collection.exists`.
    public func createCollection(
        _ name: CollectionName, _ configuration: CollectionConfiguration, deadline: Instant
    ) async throws -> CollectionDescription { throw Self.unready }

    /// Throws `collection.unknown`.
    public func deleteCollection(_ name: CollectionName, deadline: Instant) async throws { throw Self.unready }

    /// All collections, by name.
    public func collections() throws -> [CollectionDescription] { throw Self.unready }

    /// Looks at the catalog before it throws `collection.unknown`.
    public func collection(_ name: CollectionName, deadline: Instant) async throws -> CollectionDescription { throw Self.unready }

    // MARK: Points

    /// Writes points, replacing those with the same ids; of one id several times in a batch the last wins.
    ///
    /// Throws `vector.wrong_dimension` and `vector.invalid` (a number that is not finite, its index in `context["field"]`),
    /// `request.invalid` for a payload that is no object, `shard.busy`, `write.outcome_unknown`, `catalog.unavailable`.
    public func upsert(
        _ points: [Point], into name: CollectionName, mode: BatchMode = .atomic, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome { throw Self.unready }

    /// Changes parts of points. An unknown id is an error of its item (`point.unknown`).
    public func update(
        _ updates: [PointUpdate], in name: CollectionName, mode: BatchMode = .atomic, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome { throw Self.unready }

    /// Deletes points. An unknown id is an error of its item (`point.unknown`); the others are deleted.
    public func delete(
        _ ids: [PointID], from name: CollectionName, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome { throw Self.unready }

    /// Deletes the points that match when the deletion takes its place in the log. `affected` says how many there were.
    public func delete(
        matching filter: Filter, from name: CollectionName, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome { throw Self.unready }

    /// The points that exist of those asked for, in the order asked.
    public func points(
        _ ids: [PointID], in name: CollectionName, with projection: Projection = [.vector, .payload], deadline: Instant
    ) async throws -> [Point] { throw Self.unready }

    /// A page of the points that match, in the order of their ids, from `start` on (that id included).
    public func scroll(
        _ name: CollectionName, from start: PointID? = nil, offset: Int = 0, limit: Int, filter: Filter = .everything,
        with projection: Projection = [.payload], deadline: Instant
    ) async throws -> ScrollPage { throw Self.unready }

    /// Points that match. All or nothing: throws `node.unready` while a shard is not loaded.
    public func count(_ name: CollectionName, matching filter: Filter = .everything, deadline: Instant) async throws -> Int {
        throw Self.unready
    }

    /// The nearest points that match.
    public func search(_ request: SearchRequest, in name: CollectionName, deadline: Instant) async throws -> SearchResult {
        throw Self.unready
    }

    private static var unready: ApusError { ApusError(.nodeUnready, "the vectors are not loaded yet") }
}
