import ApusTypes
import Testing

@testable import ApusHTTP

@Suite("which failures of requests are told")
struct RouterTests {
    @Test("a node that serves tells that a shard is still loaded; one that starts tells nothing of whom it refuses")
    func starting() {
        let unready = ApusError(.nodeUnready, "shard 1 is still being loaded")
        #expect(Router().toldStatus(of: unready) == 503)
        var waiting = Router()
        waiting.tellsFailures = false
        for code in [ErrorCode.nodeUnready, .catalogUnavailable, .internalError] {
            #expect(waiting.toldStatus(of: ApusError(code, "the node is starting")) == 0)
        }
    }
}
