import ApusConfig

/// A file from anywhere is a tree or a failure with a position; what was read can be written and read again.
func fuzzYAML(_ input: UnsafeRawBufferPointer) {
    guard let node = try? YAMLParser().parse(Array(input)) else { return }
    let text = YAMLWriter.text(node)
    guard (try? YAMLParser().parse(Array(text.utf8))) != nil else { fatalError("a tree that was read cannot be read again: \(text)") }
}
