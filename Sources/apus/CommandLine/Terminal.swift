internal import ApusTypes
internal import Glibc

/// Standard output and error, and what the reader's terminal can show.
struct Terminal: Sendable {
    /// Output is read by a person: progress is drawn, not logged.
    var errorIsTerminal: Bool
    var outputIsTerminal: Bool
    var inputIsTerminal: Bool
    /// Colours are on for terminals unless `NO_COLOR` is set (no-color.org) or the terminal is dumb.
    var colours: Bool
    var width: Int

    static func current(environment: [String: String]) -> Terminal {
        let output = isatty(STDOUT_FILENO) == 1
        let allowed = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        var size = winsize()
        let known = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return Terminal(
            errorIsTerminal: isatty(STDERR_FILENO) == 1, outputIsTerminal: output, inputIsTerminal: isatty(STDIN_FILENO) == 1,
            colours: output && allowed,
            width: known ? Int(size.ws_col) : 80)
    }

    enum Style: String { case bold = "1", faint = "2", red = "31", green = "32", yellow = "33" }

    func styled(_ text: String, _ style: Style) -> String { colours ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text }

    /// A line on standard output.
    func print(_ line: String = "") { Self.write(line + "\n", to: STDOUT_FILENO) }

    /// A line on standard error.
    func note(_ line: String) { Self.write(line + "\n", to: STDERR_FILENO) }

    /// Draws over the current line of standard error.
    func redraw(_ line: String) { Self.write("\r\u{1B}[K" + line, to: STDERR_FILENO) }

    /// Writes all of it. A reader that has gone away (`apus … | head`) ends the process as it would end any tool.
    static func write(_ text: String, to descriptor: Int32) {
        if !isWritten(text, to: descriptor) { exit(128 + SIGPIPE) }
    }

    /// Writes all of it. False where its reader has gone away.
    static func isWritten(_ text: String, to descriptor: Int32) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                bytes = bytes.dropFirst(written)
            } else if errno == EPIPE {
                return false
            } else if errno != EINTR && errno != EAGAIN {
                return true  // nowhere left to say it
            }
        }
        return true
    }
}

/// Columns of text, each as wide as its widest cell.
struct Table {
    var header: [String]
    var rows: [[String]] = []
    /// Columns of numbers are aligned at their right.
    var rightAligned: Set<Int> = []

    func lines(_ terminal: Terminal) -> [String] {
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (column, cell) in cells.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                let isLast = column == cells.count - 1
                text += rightAligned.contains(column) ? padding + cell : isLast ? cell : cell + padding
                if !isLast { text += "  " }
            }
            return text
        }
        return [terminal.styled(line(header), .bold)] + rows.map(line)
    }
}
