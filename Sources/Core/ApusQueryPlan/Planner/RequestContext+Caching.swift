internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

extension RequestContext {
    /// What the request says about keeping a field, else what the schema says of its object or function. `@no_cache` goes before both.
    func caching(_ field: CollectedField, _ meaning: RootField?, _ statement: StatementPlan) throws(GraphQLError) -> StatementCaching? {
        // What a source does itself may depend on more than statements say, and what manages the cluster is always as it is now.
        guard !statement.acts, !hasDirective("no_cache", field) else { return nil }
        let isInvalidation = hasDirective("invalidate_cache", field)
        guard let rule = try asked(field) ?? rule(meaning) ?? (isInvalidation ? unspecified : nil) else { return nil }
        return StatementCaching(rule, of: statement, isInvalidation: isInvalidation, planner.limits)
    }

    private var unspecified: CachingRule? { try? CachingRule(lifetime: nil, key: nil, tags: []) }

    private func rule(_ meaning: RootField?) -> CachingRule? {
        switch meaning {
        case .list(let name)?, .edges(let name)?, .one(let name, _)?, .aggregation(let name)?, .buckets(let name)?:
            model.objects[name]?.caching
        case .insert(let name)?, .insertMany(let name)?, .update(let name)?, .delete(let name)?: model.objects[name]?.caching
        case .function(let id)?: model.functions[id]?.caching
        case .module?, .description?, .transform?, .cells?, nil: nil
        }
    }

    private func asked(_ field: CollectedField) throws(GraphQLError) -> CachingRule? {
        guard let arguments = try directive("cache", on: field) else { return nil }
        do throws(CachingProblem) {
            let lifetime = arguments["ttl"]?.json
            return try CachingRule(
                lifetime: lifetime.flatMap { $0.isNull ? nil : $0.asString ?? $0.description }, key: arguments["key"]?.asString,
                tags: arguments["tags"]?.json.asArray?.compactMap(\.asString) ?? [])
        } catch {
            throw GraphQLError(error.message)
        }
    }
}
