internal import ApusTypes

extension EmbeddingProvider {
    /// The vector of a text, of length 1, by hashing; nil for a model, whose weights are needed.
    ///
    /// A text without a letter or symbol gives zeros; the service refuses it before.
    public func lexicalVector(of text: String, dimension: Int) -> [Float]? {
        switch self {
        case .bm25(let bm25):
            let (features, length) = Self.words(of: text, bm25.weights)
            let saturation = bm25.k1 * (1 - bm25.b + bm25.b * Double(length) / bm25.averageLength)
            return features.vector(dimension: dimension) { count, weight in weight * count * (bm25.k1 + 1) / (count + saturation) }
        case .tfidf(let weights):
            return Self.words(of: text, weights).features.vector(dimension: dimension) { count, weight in weight * (1 + logarithm(count)) }
        case .bagOfWords:
            return Self.words(of: text, nil).features.vector(dimension: dimension) { count, _ in count }
        case .characterNGrams(let grams):
            return Self.parts(of: text, grams.sizes).vector(dimension: dimension) { count, _ in 1 + logarithm(count) }
        case .model:
            return nil
        }
    }

    private static func words(of text: String, _ weights: TermWeights?) -> (features: HashedFeatures, length: Int) {
        let table = weights.map { weights in
            Dictionary(
                weights.table.map { (FeatureHash.of($0.key.unicodeScalars.lazy.map(\.value)), $0.value) }, uniquingKeysWith: { $1 })
        }
        var features = HashedFeatures()
        var length = 0
        Words.forEach(in: text) { word in
            let hash = FeatureHash.of(word)
            length += 1
            features.add(hash, weight: table.map { $0[hash] ?? (CommonWords.hashes.contains(hash) ? CommonWords.weight : 1) } ?? 1)
        }
        return (features, length)
    }

    private static func parts(of text: String, _ sizes: ClosedRange<Int>) -> HashedFeatures {
        var features = HashedFeatures()
        Words.forEach(in: text) { word in
            // Marks that no word holds, so that "cat" at a word's beginning is another part than inside.
            let marked = [2] + word + [3]
            for start in marked.indices {
                var hash = FeatureHash()
                for (offset, codePoint) in marked[start...].prefix(sizes.upperBound).enumerated() {
                    hash.add(codePoint)
                    if offset + 1 >= sizes.lowerBound { features.add(hash.value) }
                }
            }
            // A word shorter than the shortest part is one.
            if marked.count < sizes.lowerBound { features.add(FeatureHash.of(marked)) }
        }
        return features
    }
}
