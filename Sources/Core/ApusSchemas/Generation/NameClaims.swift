/// What the names of the API are made of: no type is there twice, and no field of a type that several sources share.
struct NameClaims {
    /// What of which source a name is made of. Without a source: the API's own.
    struct Claim: Sendable {
        var source: String?
        var part: String
    }

    private var types: [String: [Claim]] = [:]
    private var contested: [(name: String, isType: Bool, claims: [Claim])] = []

    mutating func claimType(_ name: String, _ claim: Claim) { types[name, default: []].append(claim) }

    /// Fields, values or members of a type.
    mutating func claim(_ members: [(name: String, claim: Claim)], of type: String) {
        guard Set(members.lazy.map(\.name)).count < members.count else { return }
        for (name, members) in Dictionary(grouping: members, by: \.name) where members.count > 1 {
            contested.append(("\(type).\(name)", false, members.map(\.claim)))
        }
    }

    /// Of the sources that take a name which is taken, the one that was registered first, and what stands in its way.
    func firstProblem(ranks: [String: Int], places: [String: SchemaProblem.Place]) -> SchemaProblems? {
        let all = contested + types.lazy.filter { $0.value.count > 1 }.map { ($0.key, true, $0.value) }
        let losing = all.compactMap {
            name, isType, claims -> (rank: Int, problem: (name: String, isType: Bool, first: Claim, second: Claim))? in
            let order = claims.map { (rank: $0.source.map { ranks[$0, default: 0] } ?? -1, claim: $0) }.sorted { $0.rank < $1.rank }
            guard order[1].claim.source != nil else { return nil }  // the API itself: a test knows
            return (order[1].rank, (name, isType, order[0].claim, order[1].claim))
        }
        guard let rank = losing.map(\.rank).min() else { return nil }
        let problems = losing.filter { $0.rank == rank }.map(\.problem).sorted { $0.name < $1.name }
        guard let source = problems[0].second.source else { return nil }
        let others = Set(problems.map(\.first.source))
        return SchemaProblems(
            source: source, beside: others.count == 1 && others != [source] ? others.first ?? nil : nil,
            problems: problems.map { problem in
                SchemaProblem(
                    place: places[problem.second.part], rule: .definition,
                    message: Self.message(problem.name, problem.isType, problem.first, problem.second))
            })
    }

    private static func message(_ name: String, _ isType: Bool, _ first: Claim, _ second: Claim) -> String {
        let noun = isType ? "type" : "field"
        let of = second.part == name ? "" : " of \(second.part)"
        guard let other = first.source else {
            return "the \(noun) \(name)\(of) is the API's own; rename \(second.part), or give the source a prefix"
        }
        if other == second.source {
            let both = first.part == second.part ? first.part : "\(first.part) and \(second.part)"
            return "the \(noun) \(name) would be there twice, of \(both); rename one of them"
        }
        return
            "the \(noun) \(name)\(of) is made of \(first.part) of data source \"\(other)\" already; rename one of them, or give one of the "
            + "sources a prefix"
    }
}
