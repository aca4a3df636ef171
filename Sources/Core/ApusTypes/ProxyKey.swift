/// Idempotency keys that our load balancers' files make for requests that have none.
public enum ProxyKey {
    /// How they begin. They are kept for minutes, clients' own for a day.
    public static let prefix = "proxy-"
}
