internal import ApusDatabase

extension Migration {
    /// The collections that a key is for: a JSON array of names and beginnings of names with `*`; null for all. An older program finds no
    /// key that has any (`APIKeys.digest`).
    static let keyScopes = Migration(
        number: 5, name: "key scopes", minReader: 2, minWriter: 4, steps: [.both("ALTER TABLE apus.api_key ADD COLUMN collections text")])
}
