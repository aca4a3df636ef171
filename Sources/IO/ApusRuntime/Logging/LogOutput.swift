internal import ApusTypes
internal import Glibc
internal import Synchronization

/// Where the process's log lines go: stderr, as text on a terminal and as JSON otherwise. Set up once, by the composition root;
/// before that, warnings and errors go out as text.
public enum LogOutput {
    public enum Format: String, Sendable, CaseIterable { case automatic, text, json }

    private static let level = Atomic<Int>(LogLevel.warning.rawValue)
    private static let isJSON = Atomic<Bool>(false)
    private static let observer = Mutex<(@Sendable (LogLine) -> Void)?>(nil)

    public static func start(format: Format, level: LogLevel) {
        isJSON.store(format == .json || (format == .automatic && isatty(STDERR_FILENO) == 0), ordering: .relaxed)
        self.level.store(level.rawValue, ordering: .relaxed)
    }

    /// Also hands each line to `body`: for tests that assert what is logged, and what is not.
    public static func observe(_ body: (@Sendable (LogLine) -> Void)?) { observer.withLock { $0 = body } }

    static func isEnabled(_ level: LogLevel) -> Bool { level.rawValue >= Self.level.load(ordering: .relaxed) }

    static func write(_ line: LogLine) {
        observer.withLock { $0 }?(line)
        let time = WallTime(millisecondsSinceEpoch: BootClock.realTimeMilliseconds)
        let text = isJSON.load(ordering: .relaxed) ? line.json(at: time) : line.text(at: time)
        // One write for one line: lines of several threads do not mix. A log that cannot be written is nobody's to report.
        Array(text.utf8).withUnsafeBytes { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
