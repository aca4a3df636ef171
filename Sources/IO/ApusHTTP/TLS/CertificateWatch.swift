internal import ApusRuntime
internal import ApusTypes
internal import CUV

/// Reads a listener's certificate and key again when their files change. libuv looks at them on its own threads, and the reading is
/// done there too, so a slow file system delays nobody.
///
/// Certificate and key are replaced one after the other: between the two they do not fit, which is logged, and the old pair serves on.
final class CertificateWatch: Sendable {
    private let context: TLSContext
    private let loop: EventLoop
    private nonisolated(unsafe) var polls: [UnsafeMutablePointer<uv_fs_poll_t>] = []  // loop thread only
    private static let log = Logger("http")

    init(_ context: TLSContext, loop: EventLoop) {
        self.context = context
        self.loop = loop
    }

    /// Call on the loop.
    func start() {
        for path in [context.files.certificateChain, context.files.privateKey] {
            let poll = UnsafeMutablePointer<uv_fs_poll_t>.allocate(capacity: 1)
            uv_fs_poll_init(loop.uv, poll)
            poll.pointee.data = Unmanaged.passRetained(self).toOpaque()  // released when the handle is closed
            polls.append(poll)
            let interval = UInt32(clamping: context.files.checkInterval.milliseconds)
            uv_fs_poll_start(
                poll, { poll, _, _, _ in Unmanaged<CertificateWatch>.fromOpaque(poll!.pointee.data).takeUnretainedValue().reload() }, path,
                interval)
        }
    }

    /// Call on the loop.
    func stop() {
        for poll in polls {
            uv_close(UnsafeMutableRawPointer(poll).assumingMemoryBound(to: uv_handle_t.self)) { handle in
                let poll = UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: uv_fs_poll_t.self)
                Unmanaged<CertificateWatch>.fromOpaque(poll.pointee.data).release()  // retained in start()
                poll.deallocate()
            }
        }
        polls = []
    }

    /// Has one of libuv's threads read the files. Call on the loop.
    func reload() {
        let work = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)
        work.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let status = uv_queue_work(
            loop.uv, work, { Unmanaged<CertificateWatch>.fromOpaque($0!.pointee.data).takeUnretainedValue().reloadHere() },
            { work, _ in
                Unmanaged<CertificateWatch>.fromOpaque(work!.pointee.data).release()
                work?.deallocate()
            })
        precondition(status == 0, "libuv refuses work only without a function")
    }

    private func reloadHere() {
        let files = context.files
        do throws(ApusError) {
            try context.reload()
            Self.log.notice("certificate read again", ["certificate": files.certificateChain])
        } catch {
            Self.log.warning(
                "certificate not changed, the old one stays in use",
                ["certificate": files.certificateChain, "key": files.privateKey, "error": "\(error)"])
        }
    }
}
