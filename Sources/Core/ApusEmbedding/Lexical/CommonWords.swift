/// The most common words of English, which say little about what a text is about. A fixed list: it is part of what `bm25` and `tfidf` mean,
/// and changing it would change the vectors of every collection that has them.
enum CommonWords {
    static let weight = 0.2

    static let hashes: Set<UInt64> = Set(
        text.split { $0 == " " || $0 == "\n" }.map { FeatureHash.of($0.unicodeScalars.lazy.map(\.value)) })

    private static let text = """
        a about above after again against all also am an and any are aren as at be because been before being below between both but by can
        cannot could couldn d did didn do does doesn doing don down during each few for from further had hadn has hasn have haven having he
        her here hers herself him himself his how i if in into is isn it its itself just ll m me more most must my myself no nor not now of
        off on once only or other our ours ourselves out over own re s same shall she should shouldn so some such t than that the their
        theirs them themselves then there these they this those through to too under until up upon us ve very was wasn we were weren what
        when where which while who whom why will with would wouldn you your yours yourself yourselves
        """
}
