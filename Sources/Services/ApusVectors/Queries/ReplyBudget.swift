public import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

/// What the points of one reply may take, over all calls that it is put together of. Without it a short request could ask for more than
/// the memory holds.
///
/// A point counts with its payload, 4 bytes for each number of its vectors, and 64 bytes for its id and the rest.
public final class ReplyBudget: Sendable {
    public let limit: ByteCount
    private let taken = Atomic(0)

    public init(_ limit: ByteCount) { self.limit = limit }

    public static let none = ReplyBudget(ByteCount(.max))

    private static let leastPoint = 64

    /// No more points fit, whatever is asked of them.
    var mostPoints: Int { limit.bytes / Self.leastPoint }

    /// Throws `request.invalid`, naming `field`, when the points so far take more than fits.
    func take(_ points: some Sequence<Point>, _ field: String = "limit") throws(ApusError) {
        let size = points.reduce(0) { sum, point in
            point.vectors.entries.reduce(sum + Self.leastPoint + (point.payload?.count ?? 0)) { $0 + $1.value.byteCount }
        }
        guard limit.bytes < .max, taken.add(size, ordering: .relaxed).newValue > limit.bytes else { return }
        throw ApusError(
            .requestInvalid,
            "what '\(field)' asks for takes more than \(limit), the most for one reply; ask for fewer points at a time, or without vectors "
                + "or payloads",
            context: ["field": field])
    }

    /// The same for points of which nothing was read yet.
    func check(count: Int) throws(ApusError) {
        if count > mostPoints { try take(repeatElement(Point(id: .integer(0), vectors: PointVectors()), count: count)) }
    }
}
