internal import CLinux
internal import Glibc

/// Operating-system threads for the few things that own one.
package enum Thread {
    private final class Box: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a detached thread with a stack of 1 MiB.
    package static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 1 << 20)
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(name: name, body: body))
        let status = pthread_create(
            &thread, &attributes,
            { context in
                let box = Unmanaged<Box>.fromOpaque(context!).takeRetainedValue()  // passed two lines below
                apus_thread_set_name(box.name)
                box.body()
                return nil
            }, box.toOpaque())
        precondition(status == 0, "cannot start a thread: error \(status)")
    }
}

/// A counting semaphore for the pool's own threads; never waited on from a loop or the cooperative pool.
final class Semaphore: Sendable {
    private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>  // POSIX semaphores are made for several threads

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }

    /// Signals that nobody has waited for yet.
    var value: Int {
        var value: Int32 = 0
        sem_getvalue(semaphore, &value)
        return Int(value)
    }

    /// False when `duration` passed first.
    func wait(atMost duration: Duration) -> Bool {
        var until = timespec()
        clock_gettime(CLOCK_REALTIME, &until)
        until.tv_sec += Int(duration.components.seconds)
        while sem_timedwait(semaphore, &until) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}
