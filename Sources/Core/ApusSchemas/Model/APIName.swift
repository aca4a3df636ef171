/// Names that the API makes of what a schema's author calls things.
enum APIName {
    /// What is said of a name that is not allowed.
    static let refusal = "would be a name of the API: those have letters, digits and _ alone, and begin with neither a digit nor \"__\""

    /// What the types of filters and aggregations have beside an object's fields.
    static let reserved: Set<String> = ["_and", "_or", "_not", "_rows_count"]

    static func isAllowed(_ name: some StringProtocol) -> Bool {
        guard let first = name.utf8.first, !(48...57).contains(first), !name.hasPrefix("__") else { return false }
        return name.utf8.allSatisfy { (97...122).contains($0) || (65...90).contains($0) || (48...57).contains($0) || $0 == 95 }
    }
}
