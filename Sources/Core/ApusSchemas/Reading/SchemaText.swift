internal import ApusGraphQL

/// The texts of a data source as one document, so that a type may be extended in another file than its own.
struct SchemaText {
    let document: GraphQLDocument
    private let files: [(name: String, firstLine: Int)]

    init(_ files: [SchemaFile]) throws(SchemaProblem) {
        var text = ""
        var starts: [(String, Int)] = []
        var line = 1
        for file in files {
            starts.append((file.name, line))
            text += file.text + "\n"
            line += file.text.utf8.count { $0 == UInt8(ascii: "\n") } + 1
        }
        self.files = starts
        do throws(GraphQLError) {
            document = try GraphQLDocument(parsing: text, limits: .schema)
        } catch {
            throw SchemaProblem(place: Self.place(error.locations.first, in: starts), rule: .syntax, message: error.message)
        }
    }

    func place(_ location: SourceText.Location?) -> SchemaProblem.Place? { Self.place(location, in: files) }
    func place(of node: NodeID) -> SchemaProblem.Place {
        let location = document.location(of: node)
        return place(location) ?? SchemaProblem.Place(file: "", line: location.line, column: location.column)
    }

    private static func place(_ location: SourceText.Location?, in files: [(name: String, firstLine: Int)]) -> SchemaProblem.Place? {
        guard let location, let file = files.last(where: { $0.firstLine <= location.line }) else { return nil }
        return SchemaProblem.Place(file: file.name, line: location.line - file.firstLine + 1, column: location.column)
    }
}
