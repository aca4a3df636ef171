internal import ApusTypes

/// What an import shows while it runs: a bar on terminals, a line now and then elsewhere.
struct ImportProgress {
    private let terminal: Terminal
    let isQuiet: Bool
    private let started: Instant
    private let startedRows: Int
    private let startedShare: Double
    private var lastDrawn: Instant

    init(terminal: Terminal, isQuiet: Bool, now: Instant, rows: Int, share: Double) {
        self.terminal = terminal
        self.isQuiet = isQuiet
        started = now
        startedRows = rows
        startedShare = share
        lastDrawn = now
    }

    mutating func update(rows: Int, total: Int?, share: Double, now: Instant) {
        let interval: Duration = terminal.errorIsTerminal ? .milliseconds(100) : .seconds(10)
        guard !isQuiet, lastDrawn.duration(to: now) >= interval else { return }
        lastDrawn = now
        let line = line(rows: rows, total: total, share: share, now: now)
        if terminal.errorIsTerminal { terminal.redraw(line) } else { terminal.note(line) }
    }

    /// Takes the bar away, so that what follows has a clean line.
    func clear() { if !isQuiet, terminal.errorIsTerminal { terminal.redraw("") } }

    func line(rows: Int, total: Int?, share: Double, now: Instant) -> String {
        let elapsed = started.duration(to: now).seconds
        let rate = elapsed > 0 ? Double(rows - startedRows) / elapsed : 0
        var parts = [grouped(rows) + (total.map { "/\(grouped($0))" } ?? ""), "\(grouped(Int(rate)))/s"]
        if share > startedShare, share < 1, elapsed > 0.5 {
            parts.append("\(Self.time(elapsed * (1 - share) / (share - startedShare))) left")
        }
        let percent = String(Int(share * 100)) + "%"
        let figures = String(repeating: " ", count: max(0, 4 - percent.count)) + percent + "  " + parts.joined(separator: "  ")
        let room = min(40, terminal.width - figures.count - 5)
        guard terminal.errorIsTerminal, room >= 8 else { return figures }
        let filled = Int(Double(room) * min(1, share))
        return "[" + String(repeating: "=", count: filled) + (filled < room ? ">" : "")
            + String(repeating: " ", count: max(0, room - filled - 1)) + "] " + figures
    }

    static func time(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole / 60 % 60) min"
    }
}

/// `1234567` as `1,234,567`.
func grouped(_ number: Int) -> String {
    let digits = String(number.magnitude)
    var result = ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { result += "," }
        result.append(digit)
    }
    return (number < 0 ? "-" : "") + result
}
