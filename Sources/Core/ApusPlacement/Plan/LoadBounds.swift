/// How much load each node should carry, by its number; load is the sum of its replicas' weights.
struct LoadBounds: Sendable {
    /// A node may carry this much more than its fair share.
    static let slack = 0.15
    /// Shares that differ from an integer by less than the arithmetic's error are that integer.
    private static let error = 1e-9

    /// In proportion to capacity, as far as two replicas of a shard are never on one node.
    let share: [Double]
    /// The share rounded down or up, so that all add up to the load that there is. What a node is filled to.
    private(set) var quota: [Int]
    /// A node with less is given replicas of others, up to its share rounded down: 0.85 × share, and something where the share is 1.
    let lower: [Int]
    /// A node with more must give some away: max(⌈share⌉, 1.15 × share). Both bounds leave room for the heaviest shard to stand out.
    private(set) var upper: [Int]
    let heaviest: Int

    /// - Parameters:
    ///   - capacities: 0 for a node that takes no part.
    ///   - demand: the load of all first replicas, of all second ones, and so on.
    ///   - heaviest: the greatest weight of a shard.
    init(capacities: [Double], demand: [Int], heaviest: Int) {
        var share = capacities.map { _ in 0.0 }
        var quota = capacities.map { _ in 0 }
        let nodes = capacities.indices.filter { capacities[$0] > 0 }.sorted { (capacities[$1], $0) < (capacities[$0], $1) }
        for group in Self.groups(nodes.map { capacities[$0] }, demand: demand) {
            let capacity = nodes[group.nodes].reduce(0) { $0 + capacities[$1] }
            for node in nodes[group.nodes] {
                let exact = Double(group.load) * capacities[node] / capacity
                share[node] = abs(exact - exact.rounded()) < Self.error * max(1, exact) ? exact.rounded() : exact
                quota[node] = Int(share[node])
            }
            let rest = group.load - nodes[group.nodes].reduce(0) { $0 + quota[$1] }
            let byRemainder = nodes[group.nodes].sorted {
                (Double(quota[$0]) - share[$0], $0) < (Double(quota[$1]) - share[$1], $1)
            }
            for node in byRemainder.prefix(rest) { quota[node] += 1 }
        }
        self.share = share
        self.quota = quota
        self.heaviest = heaviest
        lower = share.map { max(0, max(min(1, Int($0)), Int((1 - Self.slack) * $0 + Self.error)) - heaviest + 1) }
        upper = share.map { max(Int($0.rounded(.up)) + heaviest - 1, Int((1 + Self.slack) * $0 + Self.error)) }
    }

    /// The k largest nodes can hold no more than the first k replicas of every shard. So the nodes, by falling capacity, fall into groups that
    /// share in proportion: the edges of the lower convex hull of that load over the capacity of the k largest.
    private static func groups(_ capacities: [Double], demand: [Int]) -> [(nodes: Range<Int>, load: Int)] {
        typealias Corner = (count: Int, capacity: Double, load: Int)
        func slope(_ from: Corner, _ to: Corner) -> Double { Double(to.load - from.load) / (to.capacity - from.capacity) }
        var total: Corner = (0, 0, 0)
        var hull = [total]
        for capacity in capacities {
            total = (total.count + 1, total.capacity + capacity, total.load + (total.count < demand.count ? demand[total.count] : 0))
            while hull.count > 1, slope(hull[hull.count - 2], hull[hull.count - 1]) >= slope(hull[hull.count - 1], total) {
                hull.removeLast()
            }
            hull.append(total)
        }
        return zip(hull, hull.dropFirst()).map { ($0.count..<$1.count, $1.load - $0.load) }
    }

    /// Lets each node carry what the others would ask of it, too.
    mutating func widen(to others: LoadBounds) {
        for node in quota.indices {
            quota[node] = max(quota[node], others.quota[node])
            upper[node] = max(upper[node], others.upper[node])
        }
    }
}
