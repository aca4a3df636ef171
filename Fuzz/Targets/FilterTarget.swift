import ApusTypes
import ApusVectorIndex
import VectorizerFace

/// Any JSON is a filter or a refusal, and a filter answers for any payload: the input's first line is the filter, the rest the payload.
func fuzzFilter(_ input: UnsafeRawBufferPointer) {
    let bytes = Array(input)
    let end = bytes.firstIndex(of: 10) ?? bytes.endIndex
    guard let document = try? JSONDocument(parsing: Array(bytes[..<end])), let filter = try? VectorizerFace.filter(document.root) else {
        return
    }
    guard let payload = try? JSONDocument(parsing: Array(bytes[end...].dropFirst())), payload.root.members != nil else { return }
    let matches = payload.root.minified.withUnsafeBytes { filter.matches(id: .integer(7), payload: $0, hasVector: { _ in true }) }
    guard
        payload.root.minified.withUnsafeBytes({ Filter.not(filter).matches(id: .integer(7), payload: $0, hasVector: { _ in true }) })
            != matches
    else {
        fatalError("\(filter) and its opposite agree")
    }
}
