import ApusGraphQL

/// A schema in the shape of generated data APIs, and operations on it of three sizes.
enum GraphQLTexts {
    static let schema: String = {
        let tables = (0..<40).map { number in
            """
            type t\(number) {
              id: Int! name: String price: Float is_active: Boolean created_at: Timestamp(bucket: Bucket)
              next(filter: t\((number + 1) % 40)_filter, order_by: [OrderBy], limit: Int = 2000, inner: Boolean = false): t\((number + 1) % 40)
              list(filter: t\((number + 1) % 40)_filter, order_by: [OrderBy], limit: Int = 2000, offset: Int = 0): [t\((number + 1) % 40)!]!
            }
            input t\(number)_filter { _and: [t\(number)_filter] _or: [t\(number)_filter] id: IntFilter name: StringFilter price: FloatFilter }
            """
        }
        return """
            scalar Timestamp
            enum Bucket { minute hour day }
            enum Direction { ASC DESC }
            input OrderBy { field: String! direction: Direction = ASC }
            input IntFilter { eq: Int gte: Int lte: Int in: [Int!] is_null: Boolean }
            input FloatFilter { eq: Float gte: Float lte: Float }
            input StringFilter { eq: String like: String in: [String!] }
            \(tables.joined(separator: "\n"))
            type Query { \((0..<40).map { "t\($0)(filter: t\($0)_filter, order_by: [OrderBy], limit: Int = 2000): [t\($0)]" }.joined(separator: " ")) }
            """.replacing("created_at: Timestamp(bucket: Bucket)", with: "created_at(bucket: Bucket): Timestamp")
    }()

    static let operations: [(name: String, text: String)] = [
        ("small", small), ("10 KB", large), ("introspection", Introspection.query),
    ]

    private static let small = """
        query Orders($since: Int!, $limit: Int = 20) {
          t1(filter: {id: {gte: $since}, name: {like: "a%"}}, order_by: [{field: "id", direction: DESC}], limit: $limit) {
            id name price created_at(bucket: day)
            list(limit: 3) { id next { name } }
          }
        }
        """

    private static let large: String = {
        let part = (0..<24).map { number in
            """
              a\(number): t\(number)(filter: {_and: [{id: {gte: $since, lte: 100000}}, {name: {in: ["one", "two", "three"]}}]}, limit: $limit) {
                id name price is_active created_at(bucket: hour)
                next(filter: {price: {gte: 1.5, lte: 99.25}}) { id name ...F\(number) }
                list(order_by: [{field: "id"}, {field: "name", direction: DESC}], limit: 10, offset: 20) { id name price }
              }
            """
        }
        let fragments = (0..<24).map { "fragment F\($0) on t\($0 + 1) { price is_active created_at(bucket: day) }" }
        return "query Large($since: Int!, $limit: Int = 50) {\n\(part.joined(separator: "\n"))\n}\n\(fragments.joined(separator: "\n"))"
    }()
}
