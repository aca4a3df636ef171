internal import ApusRender
internal import ApusTypes

/// A balancer whose configuration we write.
enum BalancerKind: String, Sendable, CaseIterable {
    case nginx, haproxy

    /// `status`: where HAProxy shows what it does; nginx has that beside its sites.
    func text(_ balancer: LoadBalancer, status: Endpoint?) throws(ApusError) -> String {
        switch self {
        case .nginx: try balancer.nginx()
        case .haproxy: balancer.haproxy(status: status)
        }
    }

    /// What tells the running balancer to read its file again, where nobody says otherwise.
    var reloadCommand: String {
        switch self {
        case .nginx: "nginx -s reload"
        case .haproxy: "systemctl reload haproxy"
        }
    }

    /// The Debian package that has its program.
    var package: String { self == .nginx ? "nginx-light" : "haproxy" }
}
