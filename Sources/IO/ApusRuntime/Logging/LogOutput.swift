internal import ApusTypes
internal import Glibc
internal import Synchronization

/// Where the process's log lines go: stderr, as text on a terminal and as JSON otherwise. Set up once, by the composition root;
/// before that, warnings and errors go out as text. Logging never waits for whoever reads the lines (`LogWriter`).
public enum LogOutput {
    public enum Format: String, Sendable, CaseIterable { case automatic, text, json }

    private static let level = Atomic<Int>(LogLevel.warning.rawValue)
    private static let isJSON = Atomic<Bool>(false)
    private static let writer: LogWriter = {
        // What is queued when the process ends is part of the log.
        atexit { LogOutput.flush() }
        return LogWriter(descriptor: STDERR_FILENO)
    }()
    /// What was logged lately.
    public static let ring = LogRing()
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
        ring.add(line, at: BootClock.realTimeNanoseconds)
        writer.write(text(line))
    }

    /// Waits until what was logged is written, for a second at most: whoever reads the log may have stopped.
    public static func flush() { writer.flush(atMost: .seconds(1)) }

    static func text(_ line: LogLine) -> [UInt8] {
        let time = WallTime(millisecondsSinceEpoch: BootClock.realTimeMilliseconds)
        return Array((isJSON.load(ordering: .relaxed) ? line.json(at: time) : line.text(at: time)).utf8)
    }
}
