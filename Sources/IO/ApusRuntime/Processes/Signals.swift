internal import CUV

/// Signals to this process, as a stream. A signal that is listened to no longer ends the process.
public enum Signals {
    public enum Signal: Int32, Sendable, CaseIterable { case hangUp = 1, interrupt = 2, terminate = 15 }

    /// The signals as they arrive, until the stream is dropped; a burst of one signal may be merged.
    public static func stream(_ signals: Set<Signal>, on loop: EventLoop) -> AsyncStream<Signal> {
        AsyncStream(bufferingPolicy: .bufferingNewest(8)) { continuation in
            let context = SignalContext(continuation: continuation)
            loop.execute { context.start(signals, on: loop) }
            continuation.onTermination = { _ in loop.execute { context.stop() } }
        }
    }
}

private final class SignalContext: @unchecked Sendable {  // both methods run on the loop's thread
    private let continuation: AsyncStream<Signals.Signal>.Continuation
    private var handles: [UnsafeMutablePointer<uv_signal_t>] = []

    init(continuation: AsyncStream<Signals.Signal>.Continuation) { self.continuation = continuation }

    func start(_ signals: Set<Signals.Signal>, on loop: EventLoop) {
        for signal in signals {
            let handle = UnsafeMutablePointer<uv_signal_t>.allocate(capacity: 1)
            uv_signal_init(loop.uv, handle)
            handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
            uv_signal_start(
                handle,
                { handle, number in
                    guard let signal = Signals.Signal(rawValue: number) else { return }
                    // kept until stop
                    Unmanaged<SignalContext>.fromOpaque(handle!.pointee.data).takeUnretainedValue().continuation.yield(signal)
                }, signal.rawValue)
            handles.append(handle)
        }
    }

    func stop() {
        for handle in handles {
            uv_signal_stop(handle)
            handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
                uv_close(handle) { handle in
                    Unmanaged<SignalContext>.fromOpaque(handle!.pointee.data).release()  // retained in start
                    UnsafeMutableRawPointer(handle!).deallocate()
                }
            }
        }
        handles = []
    }
}
