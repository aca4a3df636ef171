internal import ApusConfig
internal import ApusTypes

/// Runs a node until it is told to stop.
func runNode(_ configuration: Configuration) async throws {
    throw ApusError(.nodeUnready, "this build has no services yet")
}
