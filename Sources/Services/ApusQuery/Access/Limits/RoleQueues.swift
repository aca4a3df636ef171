internal import ApusTypes

/// Which request runs next, where more want to than may: roles take turns, so that one with a thousand waiting requests delays another's by no
/// more than its share. A value: whoever owns it carries out what it says.
///
/// What runs competes for processors and for the source, whose queues know no roles. So while several roles ask, each has a part of `shared`
/// places alone; a role that asks by itself has all places.
struct RoleQueues {
    /// Requests that run at the same time, of all roles.
    let places: Int
    /// Of one role, that wait.
    let mostWaiting: Int
    /// Of all roles together, while several ask.
    let shared: Int

    /// A role that asked so lately is one of those that ask.
    private static let memory: Duration = .seconds(1)

    private var running = 0
    private var roles: [String: Role] = [:]
    /// Roles with waiting requests that may run, in the order of their turns.
    private var turns: [String] = []

    private struct Role {
        var limit: Int
        var running = 0
        var waiting: [UInt64] = []
        var hasTurn = false
        var lastAsked: Instant

        func asks(at now: Instant) -> Bool { running > 0 || !waiting.isEmpty || lastAsked.duration(to: now) < RoleQueues.memory }
    }

    enum Arrival: Hashable {
        case runs
        case waits
        /// It may neither run nor wait.
        case refused
    }

    init(places: Int, mostWaiting: Int, shared: Int = .max) {
        self.shared = shared
        self.places = places
        self.mostWaiting = mostWaiting
    }

    /// `limit`: of the role, as it is now.
    mutating func arrive(_ id: UInt64, role name: String, limit: Int?, at now: Instant) -> Arrival {
        if roles[name] == nil { roles = roles.filter { $0.value.asks(at: now) } }
        var role = roles[name] ?? Role(limit: .max, lastAsked: now)
        role.limit = limit ?? .max
        role.lastAsked = now
        roles[name] = role
        defer { roles[name] = role }
        let bound = bound(of: role, at: now)
        if running < places, role.running < bound, role.waiting.isEmpty {
            running += 1
            role.running += 1
            return .runs
        }
        guard role.waiting.count < mostWaiting else { return .refused }
        role.waiting.append(id)
        if !role.hasTurn, role.running < bound {
            role.hasTurn = true
            turns.append(name)
        }
        return .waits
    }

    /// Requests of a role that may run at the same time.
    private func bound(of role: Role, at now: Instant) -> Int {
        guard roles.count > 1 else { return role.limit }
        let asking = roles.values.count { $0.asks(at: now) }
        return asking > 1 ? min(role.limit, max(1, shared / asking)) : role.limit
    }

    /// A request that ran is done. Which run now.
    mutating func leave(role name: String, at now: Instant) -> [UInt64] {
        running -= 1
        guard var role = roles[name] else { return [] }
        role.running -= 1
        if !role.waiting.isEmpty, !role.hasTurn, role.running < bound(of: role, at: now) {
            role.hasTurn = true
            turns.append(name)
        }
        roles[name] = role
        return advance(at: now)
    }

    /// A request does not want to wait any more; false where it has been let in meanwhile.
    mutating func give(up id: UInt64, role name: String) -> Bool {
        guard let index = roles[name]?.waiting.firstIndex(of: id) else { return false }
        roles[name]?.waiting.remove(at: index)
        if roles[name]?.waiting.isEmpty == true {
            turns.removeAll { $0 == name }
            roles[name]?.hasTurn = false
        }
        return true
    }

    private mutating func advance(at now: Instant) -> [UInt64] {
        var admitted: [UInt64] = []
        while running < places, !turns.isEmpty {
            let name = turns.removeFirst()
            guard var role = roles[name], !role.waiting.isEmpty else { continue }
            let bound = bound(of: role, at: now)
            guard role.running < bound else {
                // Others ask since it stood in line: it does again when one of its own is done.
                roles[name]?.hasTurn = false
                continue
            }
            admitted.append(role.waiting.removeFirst())
            running += 1
            role.running += 1
            role.hasTurn = !role.waiting.isEmpty && role.running < bound
            if role.hasTurn { turns.append(name) }
            roles[name] = role
        }
        return admitted
    }

    var waiting: Int { roles.values.reduce(0) { $0 + $1.waiting.count } }
}
