/// One history of the catalog. It changes when the catalog may have gone back in time: a standby was promoted, a backup restored.
///
/// An equal incarnation proves nothing (a copied file, a crash that lost commits), and an unequal one loses nothing by itself:
/// whether a reader's position is still in the history is told by the digests alone.
public struct Incarnation: Hashable, Sendable {
    /// PostgreSQL's system identifier, or the random number that a SQLite catalog was created with.
    public var system: Int64
    /// PostgreSQL's timeline; 1 on SQLite.
    public var timeline: Int64
    /// How often an operator has restored this catalog (`Catalog.markRestored`).
    public var restores: Int64

    public init(system: Int64, timeline: Int64, restores: Int64) {
        self.system = system
        self.timeline = timeline
        self.restores = restores
    }
}

extension Incarnation: CustomStringConvertible {
    /// `6f1c…-3-0`: system in hexadecimal, timeline, restores.
    public var description: String { "\(String(UInt64(bitPattern: system), radix: 16))-\(timeline)-\(restores)" }
}
