/// Keeps the best few of what it is offered: a binary heap with the worst of them on top.
public struct Best<Element> {
    private let limit: Int
    private let precedes: (Element, Element) -> Bool
    private var heap: [Element] = []

    /// `precedes` is a strict order, best first.
    public init(_ limit: Int, by precedes: @escaping (Element, Element) -> Bool) {
        self.limit = limit
        self.precedes = precedes
    }

    /// What a newcomer must precede; nil while there is room.
    public var worst: Element? { heap.count < limit ? nil : heap.first }

    public mutating func offer(_ element: Element) {
        if heap.count < limit {
            heap.append(element)
            rise()
        } else if let worst = heap.first, precedes(element, worst) {
            heap[0] = element
            sink()
        }
    }

    /// In order.
    public var sorted: [Element] { heap.sorted(by: precedes) }

    private mutating func rise() {
        var child = heap.count - 1
        while child > 0, precedes(heap[(child - 1) / 2], heap[child]) {
            heap.swapAt((child - 1) / 2, child)
            child = (child - 1) / 2
        }
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var worst = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(heap[worst], heap[child]) { worst = child }
            guard worst != parent else { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }
}
