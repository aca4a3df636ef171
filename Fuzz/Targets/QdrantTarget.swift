import ApusTypes
import ApusVectorIndex
import ApusVectors
import QdrantFace

/// Any JSON is a filter, a query or a refusal, and a filter answers for any payload: the input's first line is the filter or the query, the
/// rest the payload.
func fuzzQdrant(_ input: UnsafeRawBufferPointer) {
    let bytes = Array(input)
    let end = bytes.firstIndex(of: 10) ?? bytes.endIndex
    guard let document = try? JSONDocument(parsing: Array(bytes[..<end])) else { return }
    var filters: [Filter] = []
    if let filter = try? QdrantFace.filter(document.root) { filters.append(filter) }
    if let query = try? QdrantFace.query(document.root, of: "c") { filters.append(query.filter) }
    guard let payload = try? JSONDocument(parsing: Array(bytes[end...].dropFirst())), payload.root.members != nil else { return }
    let minified = payload.root.minified
    for filter in filters {
        func matches(_ filter: Filter) -> Bool {
            minified.withUnsafeBytes { filter.matches(id: .integer(7), payload: $0, hasVector: { $0 == "a" }) }
        }
        guard matches(filter) != matches(.not(filter)) else { fatalError("\(filter) and its opposite agree") }
    }
    guard let members = payload.root.members else { return }
    for member in members {
        guard let path = try? PayloadPath(jsonPath: member.key) else { continue }
        _ = (path.orderValues(in: minified), path.scalars(in: minified), path.groups(in: minified))
    }
}
