public import ApusGraphQL

/// The API that is generated from a model: a schema, and what its fields mean.
public struct DataAPI: Sendable {
    public let model: DataModel
    public let schema: GraphQLSchema
    private let meanings: [String: [String: RootField]]

    /// Throws `SchemaProblems` where the names that are made of a source's are taken, and `GraphQLErrors` for what nobody has thought of.
    public init(of model: DataModel) throws {
        var generator = APIGenerator(model)
        let text = generator.text()
        if let problems = generator.claims.firstProblem(ranks: model.ranks, places: model.places) { throw problems }
        self.model = model
        schema = try GraphQLSchema(building: text)
        meanings = generator.meanings
    }

    /// What a field means that is no member of an object: of roots, modules and ad-hoc joins.
    public func meaning(of field: String, on type: String) -> RootField? { meanings[type]?[field] }
}

/// What a field of a root, a module or an ad-hoc join does. Objects are named by their types.
public enum RootField: Sendable, Hashable {
    /// The fields of a module, or its functions.
    case module
    case list(String)
    /// A list whose rows come with their cursors.
    case edges(String)
    /// At most one row, whose key fields are the field's arguments.
    case one(String, key: [String])
    case aggregation(String)
    case buckets(String)
    case insert(String)
    /// Several rows at once.
    case insertMany(String)
    case update(String)
    case delete(String)
    case function(DataFunction.ID)
    /// The model itself, without its data: the module or object that `name` names, or the root module.
    case description(Described)
    /// Another query, whose result a jq program transforms.
    case transform
    /// Cells of a grid, and what rows of several objects come to in each.
    case cells

    public enum Described: Sendable, Hashable { case module, object, root }
}
