import ApusEmbedding
import ApusTypes

/// Any bytes are a safetensors file or a refusal; of a file, everything that its header names lies inside it.
func fuzzSafetensors(_ input: UnsafeRawBufferPointer) {
    guard let file = try? Safetensors(file: input) else { return }
    for (name, tensor) in file.tensors {
        guard tensor.range.lowerBound >= 0, file.dataStart + tensor.range.upperBound <= input.count else {
            fatalError("\(name) lies outside the file")
        }
    }
    _ = try? ModelPackage(file)
}

/// The input's first part, up to a zero byte, is a vocabulary, the rest a text: its pieces are of the vocabulary and within the limit. The
/// same text has a vector by every hashed provider, of length 1 or nothing.
func fuzzTokenizer(_ input: UnsafeRawBufferPointer) {
    let parts = input.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return }
    let text = String(decoding: parts[1], as: UTF8.self)
    for lowercases in [true, false] {
        guard let tokenizer = try? WordPiece(vocabulary: Array("[UNK]\n[CLS]\n[SEP]\n".utf8) + parts[0], lowercases: lowercases) else {
            continue
        }
        let pieces = tokenizer.pieces(of: text, limit: 16)
        guard pieces.count >= 2, pieces.count <= 16, pieces.allSatisfy({ (0..<Int32(tokenizer.count)).contains($0) }) else {
            fatalError("the pieces \(pieces) are out of bounds")
        }
    }
    for name in ["bm25", "tfidf", "bag_of_words", "char_ngram"] {
        guard let vector = try? EmbeddingProvider(named: name).lexicalVector(of: text, dimension: 7) else { fatalError("no vector") }
        let square = vector.reduce(0) { $0 + $1 * $1 }
        guard vector.count == 7, square == 0 || abs(square - 1) < 1e-4 else { fatalError("a vector of length \(square)") }
    }
    // Words are counted alike by the fast way and the slow one.
    let query = LexicalQuery(text)
    var counts = [UInt32](repeating: 0, count: query.words)
    var copy = text
    let words = copy.withUTF8 { query.count(in: UnsafeRawBufferPointer($0), into: &counts) }
    guard words == Words.all(in: text).count, counts.allSatisfy({ $0 > 0 }) else { fatalError("a text does not hold its own words") }
}

/// Any bytes are an archive or a refusal; its files lie inside it.
func fuzzArchive(_ input: UnsafeRawBufferPointer) {
    let bytes = Array(input)
    guard let place = try? ZipDirectory.place(end: Array(bytes.suffix(ZipDirectory.longestEnd)), fileSize: bytes.count),
        let directory = try? ZipDirectory(list: Array(bytes[place]), fileSize: bytes.count)
    else { return }
    for entry in directory.entries {
        let header = Array(bytes[entry.header..<min(bytes.count, entry.header + 30)])
        guard let data = try? ZipDirectory.data(of: entry, header: header, fileSize: bytes.count) else { continue }
        guard data.lowerBound >= 0, data.upperBound <= bytes.count else { fatalError("\(entry) lies outside the archive") }
    }
}
