public import ApusCatalog
public import ApusTypes

extension ObjectStore {
    /// Puts a new object under a key of its own, announced by an intent; the transaction that names the object deletes the intent.
    ///
    /// What fails in between is left to the collector, which removes intent and object after their age.
    public func place(
        _ source: ObjectSource, announcedIn intents: ObjectIntents, by node: NodeName, deadline: Instant
    ) async throws -> PlacedObject {
        var generator = SystemRandomNumberGenerator()
        let key = ObjectKey.random(using: &generator)
        try await intents.record(key, by: node, deadline: deadline)
        return PlacedObject(key: key, description: try await put(key, deadline: deadline, source))
    }
}
