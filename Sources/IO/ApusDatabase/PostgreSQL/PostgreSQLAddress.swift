internal import ApusRuntime
internal import ApusTypes
internal import CPostgreSQL
internal import Glibc

/// Where the catalog's servers are, and how to greet them: libpq's URL or `key=value` string, taken apart.
struct PostgreSQLAddress: Sendable {
    /// Every parameter but the hosts.
    private let parameters: Redacted<[String: String]>
    private var hosts: [Host]
    /// Only a server that takes writes will do.
    private(set) var wantsPrimary: Bool

    private struct Host: Sendable {
        /// A name, an address, or the directory of a Unix socket; nil: libpq's default.
        var name: String?
        var address: String?
        var port: String?
    }

    /// One address of one host, ready for libpq.
    struct Candidate: Sendable {
        let parameters: Redacted<[String: String]>
        /// Safe to show.
        let name: String
    }

    init(_ url: Redacted<String>) throws {
        var problem: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(url.reveal(), &problem) else {
            PQfreemem(problem)  // not shown: it quotes what it did not understand, which may be the password
            throw ApusError(
                .configurationInvalid, "the catalog's URL cannot be understood",
                hint: "postgresql://user@host1,host2:5432/database")
        }
        defer { PQconninfoFree(options) }
        var given: [String: String] = [:]
        var option = options
        while let key = option.pointee.keyword {
            if let value = option.pointee.val { given[String(cString: key)] = String(cString: value) }
            option += 1
        }
        let names = Self.list(given.removeValue(forKey: "host"))
        let addresses = Self.list(given.removeValue(forKey: "hostaddr"))
        let ports = Self.list(given.removeValue(forKey: "port"))
        let count = max(1, names.count, addresses.count)
        guard ports.count <= 1 || ports.count == count else {
            throw ApusError(.configurationInvalid, "the catalog's URL names \(count) hosts but \(ports.count) ports")
        }
        hosts = (0..<count).map { index in
            Host(
                name: index < names.count ? names[index] : nil, address: index < addresses.count ? addresses[index] : nil,
                port: ports.count == 1 ? ports[0] : index < ports.count ? ports[index] : nil)
        }
        switch given.removeValue(forKey: "target_session_attrs") {
        case nil: wantsPrimary = count > 1
        case "any": wantsPrimary = false
        case "read-write", "primary": wantsPrimary = true
        case let other?:
            throw ApusError(
                .configurationInvalid, "the catalog's URL asks for target_session_attrs=\(other)", hint: "any, read-write or primary")
        }
        for (key, value) in Self.defaults where given[key] == nil { given[key] = value }
        parameters = Redacted(given)
    }

    /// Another server, which is greeted in the same way and need not take writes.
    func at(host: String, port: Int) -> PostgreSQLAddress {
        var address = self
        address.hosts = [Host(name: host, port: String(port))]
        address.wantsPrimary = false
        return address
    }

    /// A dead peer is noticed within seconds; names and numbers arrive in one encoding.
    private static let defaults = [
        "client_encoding": "UTF8", "gssencmode": "disable", "keepalives_idle": "5", "keepalives_interval": "2",
        "keepalives_count": "3", "tcp_user_timeout": "10000", "fallback_application_name": "apus",
    ]

    private static func list(_ value: String?) -> [String] {
        value.map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) } ?? []
    }

    /// Host and port of each server, as the URL has them; safe to show.
    var servers: [String] { hosts.map(Self.name) }

    private static func name(_ host: Host) -> String { "\(host.name ?? host.address ?? "the default host"):\(host.port ?? "5432")" }

    /// The addresses to try, in order. Names are looked up on `pool`'s threads: libpq would block the loop.
    func candidates(
        application: String, pool: BlockingPool, wording: any DatabaseWording = CatalogWording(), deadline: Instant
    ) async throws -> [Candidate] {
        var found: [Candidate] = []
        var failure: (any Error)?
        for host in hosts {
            do {
                let addresses = try await Self.addresses(of: host, pool: pool, wording, deadline: deadline)
                for address in addresses { found.append(candidate(host, address, application)) }
            } catch {
                failure = error
            }
        }
        if found.isEmpty, let failure { throw failure }
        return found
    }

    private func candidate(_ host: Host, _ address: String?, _ application: String) -> Candidate {
        var all = parameters.reveal()
        all["fallback_application_name"] = application
        if let name = host.name { all["host"] = name }
        if let address { all["hostaddr"] = address }
        if let port = host.port { all["port"] = port }
        return Candidate(parameters: Redacted(all), name: Self.name(Host(name: host.name, address: address, port: host.port)))
    }

    private static func addresses(
        of host: Host, pool: BlockingPool, _ wording: any DatabaseWording, deadline: Instant
    ) async throws -> [String?] {
        if let address = host.address, !address.isEmpty { return [address] }
        guard let name = host.name, !name.isEmpty, !name.hasPrefix("/"), !name.hasPrefix("@") else { return [nil] }
        do {
            return try await pool.run(deadline: deadline) { try HostNames.addresses(of: name) }
        } catch let error as ApusError where error.code == .peerUnreachable {
            throw wording.hostUnknown(name, error)
        }
    }
}
