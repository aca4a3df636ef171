/// Which request runs next, where more want to than may: roles take turns, so that one with a thousand waiting requests delays another's by no
/// more than its share. A value: whoever owns it carries out what it says.
struct RoleQueues {
    /// Requests that run at the same time, of all roles.
    let places: Int
    /// Of one role, that wait.
    let mostWaiting: Int

    private var running = 0
    private var roles: [String: Role] = [:]
    /// Roles with waiting requests that may run, in the order of their turns.
    private var turns: [String] = []

    private struct Role {
        var limit: Int
        var running = 0
        var waiting: [UInt64] = []
        var hasTurn = false
    }

    enum Arrival: Hashable {
        case runs
        case waits
        /// It may neither run nor wait.
        case refused
    }

    init(places: Int, mostWaiting: Int) {
        self.places = places
        self.mostWaiting = mostWaiting
    }

    /// `limit`: of the role, as it is now.
    mutating func arrive(_ id: UInt64, role name: String, limit: Int?) -> Arrival {
        var role = roles[name] ?? Role(limit: .max)
        role.limit = limit ?? .max
        defer {
            roles[name] = role
        }
        if running < places, role.running < role.limit, role.waiting.isEmpty {
            running += 1
            role.running += 1
            return .runs
        }
        guard role.waiting.count < mostWaiting else { return .refused }
        role.waiting.append(id)
        if !role.hasTurn, role.running < role.limit {
            role.hasTurn = true
            turns.append(name)
        }
        return .waits
    }

    /// A request that ran is done. Which run now.
    mutating func leave(role name: String) -> [UInt64] {
        running -= 1
        guard var role = roles[name] else { return [] }
        role.running -= 1
        if !role.waiting.isEmpty, !role.hasTurn, role.running < role.limit {
            role.hasTurn = true
            turns.append(name)
        }
        roles[name] = role.running == 0 && role.waiting.isEmpty ? nil : role
        return advance()
    }

    /// A request does not want to wait any more; false where it has been let in meanwhile.
    mutating func give(up id: UInt64, role name: String) -> Bool {
        guard let index = roles[name]?.waiting.firstIndex(of: id) else { return false }
        roles[name]?.waiting.remove(at: index)
        if let role = roles[name], role.waiting.isEmpty {
            turns.removeAll { $0 == name }
            roles[name]?.hasTurn = false
            if role.running == 0 { roles[name] = nil }
        }
        return true
    }

    private mutating func advance() -> [UInt64] {
        var admitted: [UInt64] = []
        while running < places, !turns.isEmpty {
            let name = turns.removeFirst()
            guard var role = roles[name], !role.waiting.isEmpty else { continue }
            admitted.append(role.waiting.removeFirst())
            running += 1
            role.running += 1
            role.hasTurn = !role.waiting.isEmpty && role.running < role.limit
            if role.hasTurn { turns.append(name) }
            roles[name] = role
        }
        return admitted
    }

    var waiting: Int { roles.values.reduce(0) { $0 + $1.waiting.count } }
}
