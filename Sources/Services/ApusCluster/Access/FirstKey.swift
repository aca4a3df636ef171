internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes

extension Access {
    /// Makes an administrator's key when there is none in force, and keeps it in `file` (mode 0600). For a node that can be reached
    /// from other machines: nobody there could ask for anything otherwise, and nobody must be let in without a key.
    ///
    /// Returns the secret to be printed once; nil when a key exists.
    public func makeFirstKey(keptIn file: String, deadline: Instant) async throws -> Redacted<String>? {
        guard try await !list(deadline: deadline).contains(where: { $0.revokedAt == nil }) else { return nil }
        // The file first: a key that was made and could not be kept would be nobody's.
        let kept = try PrivateFile(creating: file)
        let (key, secret) = try await create(name: "first administrator", role: .administrator, deadline: deadline)
        do { try kept.write(secret.reveal() + "\n") } catch {
            _ = try await revoke(id: key.id, deadline: deadline)
            throw error
        }
        return secret
    }
}
