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
    /// reason, some each second say so, unless all is told at debug; the next line says how many did not (`left_out`).
    public func failure(_ message: StaticString, status: Int, _ metadata: @autoclosure () -> [String: String]) {
        guard status > 500, !LogOutput.isEnabled(.debug) else {
            return log(status == 500 ? .error : status > 500 ? .info : .debug, message, metadata)
        }
        guard let leftOut = FailureBudget.shared.take(at: BootClock.now) else { return }
        log(.info, message) { leftOut == 0 ? metadata() : metadata().merging(["left_out": "\(leftOut)"]) { $1 } }
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

    private let state = Mutex<(second: Int64, told: Int, leftOut: Int)>((.min, 0, 0))

    /// How many were left out since the last that was told, where this one may be; else it is counted, and nil.
    func take(at now: Instant) -> Int? {
        let second = now.nanosecondsSinceBoot / 1_000_000_000
        return state.withLock { state in
            if state.second != second { (state.second, state.told) = (second, 0) }
            guard state.told < Self.most else {
                state.leftOut += 1
                return nil
            }
            state.told += 1
            defer { state.leftOut = 0 }
            return state.leftOut
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
