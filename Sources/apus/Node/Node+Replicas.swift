internal import ApusConfig
internal import ApusDatabase
internal import ApusRuntime

extension Configuration {
    /// What answers reads in the primary's stead; nil where no standby is configured.
    func readReplicas(of primary: any Database, loops: EventLoops, metrics: MetricsRegistry? = nil) throws -> ReadReplicas? {
        guard let url = catalog.url, !catalog.replicas.isEmpty else { return nil }
        let reads = metrics?.counter(
            "apus_catalog_routed_reads_total", help: "Reads that replicas may answer, by who has answered.", labels: ["server"])
        return try ReadReplicas(
            of: primary, url: url, hosts: catalog.replicas.map { ($0.host, $0.port) }, loops: loops, lagLimit: catalog.replicaLag,
            answered: { reads?.with($0).increment() })
    }
}
