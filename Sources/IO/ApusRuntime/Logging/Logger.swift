/// Writes the log lines of one area. A message is a constant; its data travels as metadata.
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

    private func log(_ level: LogLevel, _ message: StaticString, _ metadata: () -> [String: String]) {
        guard LogOutput.isEnabled(level) else { return }
        LogOutput.write(LogLine(level: level, area: area, message: message.description, metadata: metadata()))
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
