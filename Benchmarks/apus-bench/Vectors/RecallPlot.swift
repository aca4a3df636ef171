import Foundation

/// Curves of recall against queries per second as an SVG picture that is readable on light and dark pages.
///
/// Across, the share that is missed, on a logarithmic scale: from 0.98 to 0.99 is as far as from 0.96 to 0.98. Up, the rate, logarithmic too.
struct RecallPlot {
    struct Curve {
        var name: String
        /// Those alone that no other of the points is better than in both; by recall.
        var points: [(recall: Double, rate: Double)]

        init(name: String, points: [(recall: Double, rate: Double)]) {
            self.name = name
            var best: [(recall: Double, rate: Double)] = []
            for point in points.sorted(by: { $0.recall == $1.recall ? $0.rate > $1.rate : $0.recall > $1.recall })
            where point.rate > best.last?.rate ?? 0 {
                best.append(point)
            }
            self.points = best.reversed()
        }
    }

    var title: String
    /// At most as many as there are colours.
    var curves: [Curve]

    private static let (width, height) = (720.0, 440.0)
    private static let (left, right, top, bottom) = (70.0, 90.0, 44.0, 52.0)
    private static let recalls = [0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999]
    /// Colours that differ for the colour-blind too (Okabe and Ito 2008), and shapes beside them.
    private static let colours = ["#d55e00", "#0072b2", "#009e73", "#cc79a7"]

    private static func across(_ recall: Double) -> Double {
        let (first, last) = (-log10(1 - recalls[0]), -log10(1 - recalls[recalls.count - 1]))
        return left + (-log10(1 - recall) - first) / (last - first) * (width - left - right)
    }

    var svg: String {
        let shown = curves.map { $0.points.filter { $0.recall >= Self.recalls[0] && $0.recall <= Self.recalls[Self.recalls.count - 1] } }
        let rates = shown.joined().map(\.rate)
        let low = log10((rates.min() ?? 100) * 0.9), high = log10((rates.max() ?? 10_000) * 1.1)
        func up(_ rate: Double) -> Double {
            Self.height - Self.bottom - (log10(rate) - low) / (high - low) * (Self.height - Self.top - Self.bottom)
        }
        func number(_ value: Double) -> String { String(format: "%.1f", value) }
        func text(_ x: Double, _ y: Double, _ words: String, _ more: String = "") -> String {
            "<text x=\"\(number(x))\" y=\"\(number(y))\"\(more)>\(words)</text>\n"
        }

        var body = text(Self.left, 16, title.replacing("&", with: "&amp;").replacing("<", with: "&lt;"), " class=\"title\"")
        for recall in Self.recalls {
            let x = Self.across(recall)
            body += "<path class=\"grid\" d=\"M\(number(x)) \(number(Self.top))V\(number(Self.height - Self.bottom))\"/>\n"
            body += text(x, Self.height - Self.bottom + 18, "\(recall)", " text-anchor=\"middle\"")
        }
        for power in Int(low.rounded(.down))...Int(high.rounded(.up)) {
            for rate in [1.0, 2, 5].map({ $0 * pow(10, Double(power)) }) where log10(rate) >= low && log10(rate) <= high {
                body += "<path class=\"grid\" d=\"M\(number(Self.left)) \(number(up(rate)))H\(number(Self.width - Self.right))\"/>\n"
                body += text(Self.left - 8, up(rate) + 4, rate >= 1000 ? "\(Int(rate / 1000)),000" : "\(Int(rate))", " text-anchor=\"end\"")
            }
        }
        body += text((Self.left + Self.width - Self.right) / 2, Self.height - 10, "recall@\(VectorsBench.limit)", " text-anchor=\"middle\"")
        body += text(Self.left - 56, Self.top - 10, "queries per second of CPU time")

        var labels: [Double] = []
        for (order, (curve, points)) in zip(curves, shown).enumerated() {
            guard let last = points.last else { continue }
            let colour = Self.colours[order % Self.colours.count]
            let places = points.map { "\(number(Self.across($0.recall))) \(number(up($0.rate)))" }
            body += "<path d=\"M\(places.joined(separator: "L"))\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2.5\"/>\n"
            for point in points {
                body += Self.mark(order, Self.across(point.recall), up(point.rate), colour)
            }
            var y = up(last.rate) + 4
            while let near = labels.first(where: { abs($0 - y) < 14 }) { y = near + 14 }  // names do not cover each other
            labels.append(y)
            body += text(Self.width - Self.right + 8, y, curve.name, " style=\"fill:\(colour);font-weight:600\"")
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img" aria-label="Recall against queries per second">
            <style>
            text { font: 12px system-ui, sans-serif; fill: #444 }
            .title { font-weight: 600; font-size: 13px }
            .grid { stroke: #8888; stroke-width: .5; fill: none }
            @media (prefers-color-scheme: dark) { text { fill: #ccc } }
            </style>
            \(body)</svg>

            """
    }

    private static func mark(_ kind: Int, _ x: Double, _ y: Double, _ colour: String) -> String {
        func number(_ value: Double) -> String { String(format: "%.1f", value) }
        let shape =
            switch kind % 4 {
            case 0: "<circle cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"3.5\""
            case 1: "<rect x=\"\(number(x - 3))\" y=\"\(number(y - 3))\" width=\"6\" height=\"6\""
            case 2: "<path d=\"M\(number(x)) \(number(y - 4.5))l4 7h-8z\""
            default: "<path d=\"M\(number(x)) \(number(y - 4.5))l4.5 4.5l-4.5 4.5l-4.5 -4.5z\""
            }
        return shape + " fill=\"\(colour)\"/>\n"
    }
}
