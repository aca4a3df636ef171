internal import ApusTypes
internal import Synchronization

/// Writes the log lines of one area. A message is a constant; its data travels as metadata. What is written while a request is worked for has
/// its id as `request`, on every node that does.
///
/// error: a human must act. warning: will degrade. notice and info: a state changed, once. debug: per request.
public struct Logger: Sendable {
    public let area: String

    public init(_ area: String) { self.area = area }

    public func debug(_ message: StaticString, _ metadata: @autoclosure () -> [String: String] = [:]) { log(.debug, message, metadata) }
    public func info(_ message: StaticString, _ metadata: @autoclosure () -> [String: String] = [:]) { log(.info, message, metadata) }
    public func notice(_ message: StaticString, _ metadata: @autoclosure () -> [String: String] = [:]) { log(.notice, message, metadata) }
    public func warning(_ message: StaticString, _ metadata: @autoclosure () -> [String: String] = [:]) { log(.warning, message, metadata) }
    public func error(_ message: StaticString, _ metadata: @autoclosure () -> [String: String] = [:]) { log(.error, message, metadata) }

    /// What went wrong with one request: an error where a human must act, else info, and debug where it is the asker's own matter. When many fail for one
    /// reason, some each second say so; the rest is said at debug.
    public func failure(_ message: StaticString, status: Int, _ metadata: @autoclosure () -> [String: String]) {
        let level: LogLevel = status == 500 ? .error : status > 500 && FailureBudget.shared.take(at: BootClock.now) ? .info : .debug
        log(level, message, metadata)
    }

    private func log(_ level: LogLevel, _ message: StaticString, _ metadata: () -> [String: String]) {
        guard LogOutput.isEnabled(level) else { return }
        var metadata = metadata()
        let request = Caller.request
        if !request.isEmpty, metadata["request"] == nil { metadata["request"] = request }
        LogOutput.write(LogLine(level: level, area: area, message: message.description, metadata: metadata))
    }
}

/// How many failures may be told of in each second.
final class FailureBudget: Sendable {
    static let shared = FailureBudget()
    static let most = 20

    private let state = Mutex<(second: Int64, taken: Int)>((.min, 0))

    func take(at now: Instant) -> Bool {
        let second = now.nanosecondsSinceBoot / 1_000_000_000
        return state.withLock { state in
            if state.second != second { state = (second, 0) }
            state.taken += 1
            return state.taken <= Self.most
        }
    }
}

public enum LogLevel: Int, Sendable, Comparable, CaseIterable {
    case debug, info, notice, warning, error

    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

    public init?(_ name: String) {
        guard let level = Self.allCases.first(where: { "\($0)" == name }) else { return nil }
        self = level
    }
}
