import ApusTypes

/// What both ways of reading JSON must agree on: the tree is accepted exactly when the document is, what is written again
/// reads as the same value, and numbers for a vector never crash whatever they are.
func fuzzJSON(_ input: UnsafeRawBufferPointer) {
    let bytes = Array(input)
    guard let value = try? JSONValue(parsing: bytes) else { return }
    let again = value.serialized()
    guard let second = try? JSONValue(parsing: again), second.serialized() == again else {
        fatalError("a value changed by being written and read: \(value)")
    }
    guard let document = try? JSONDocument(parsing: bytes) else { fatalError("the document refuses what the tree accepts") }
    _ = document.root.minified
    _ = try? document.root.floats(dimension: 4)
}
