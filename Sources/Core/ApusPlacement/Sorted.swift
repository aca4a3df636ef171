extension Array {
    /// Where the elements begin for which the claim holds, which must be all from there on; the count if there are none.
    func start(where holds: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
