internal import ApusCluster
internal import ApusThunder
internal import ApusTypes

/// What a command works with.
struct RPCCall: Sendable {
    let face: VectorizerFace
    let access: Access
    let principal: Principal
    let deadline: Instant
}

/// One command of the protocol: who may give it, what it reaches, and what it does.
struct RPCCommand: Sendable {
    typealias Body = @Sendable (RPCCall, RPCArguments) async throws -> ThunderValue

    let role: Principal.Role
    let reach: Principal.Reach
    let run: Body

    init(_ role: Principal.Role, over reach: Principal.Reach = .everything, _ run: @escaping Body) {
        self.role = role
        self.reach = reach
        self.run = run
    }

    static let all: [String: RPCCommand] =
        collections.merging(points) { first, _ in first }.merging(batches) { first, _ in first }
        .merging(searches) { first, _ in first }.merging(administration) { first, _ in first }

    /// The real server's commands that have no counterpart here, each with the reason.
    static let unsupported: [String: String] = {
        func family(_ prefix: String, _ names: [String], _ why: String) -> [(String, String)] { names.map { ("\(prefix).\($0)", why) } }
        let texts = "it ranks texts over several collections by rules of its own; search each with search.by_text"
        let keys = "access is by keys: auth.api_keys_create and auth.api_keys_revoke"
        let families =
            family("vectors", ["set_expiry"], "points do not expire here; delete them, or delete by filter on a time in the payload")
            + family("search", ["by_file"], "files are not indexed here")
            + family("search", ["intelligent", "semantic", "contextual", "multi_collection"], texts)
            + family(
                "discovery",
                [
                    "discover", "filter_collections", "score_collections", "expand_queries", "broad_discovery", "semantic_focus",
                    "promote_readme", "compress_evidence", "build_answer_plan", "render_llm_prompt",
                ], "discovery is not part of this server")
            + family(
                "file", ["content", "list", "summary", "chunks", "outline", "related", "search_by_type"], "files are not indexed here")
            + family(
                "graph",
                [
                    "list_nodes", "neighbors", "find_related", "find_path", "create_edge", "delete_edge", "list_edges", "discover_edges",
                    "discover_edges_for_node", "discovery_status",
                ], "points have no graph of relations here")
            + family("admin", ["logs"], "the log goes to the node's standard error")
            + family("admin", ["config_get", "config_update"], "a node's configuration is its file: apus config show")
            + family(
                "admin", ["backups_list", "backups_create", "backups_restore"],
                "a backup is a copy of the data directory, or one of the catalog's database")
            + family(
                "admin", ["workspaces_list", "workspace_get", "workspace_add", "workspace_remove"], "there is no file watcher here")
            + family("admin", ["restart"], "a node is restarted by its supervisor")
            + family("admin", ["slow_queries_list", "slow_queries_config"], "slow queries are not recorded; see the metrics")
            + family("auth", ["logout", "refresh_token", "introspect"], "there are no tokens; " + keys)
            + family("auth", ["validate_password"], "there are no passwords; " + keys)
            + family("auth", ["api_keys_rotate"], "make a new key with auth.api_keys_create, then revoke the old one")
            + family(
                "auth", ["api_keys_create_scoped"],
                "keys for some collections are made with auth.api_keys_create and its member collections")
            + family("auth", ["audit"], "the log says who changed what")
            + family(
                "replication", ["configure", "stats", "replicas_list"],
                "nodes do not replicate to each other: every write is in the catalog before it is acknowledged")
            + family(
                "cluster", ["failover", "replica_resync"], "nodes follow the catalog by themselves; there is no master to fail over from")
            + family("cluster", ["peer_add"], "a node joins by starting with the same catalog")
        return Dictionary(uniqueKeysWithValues: families)
    }()

    static func unknown(_ name: String) -> ApusError {
        if let why = unsupported[name] { return ApusError(.unsupported, "this server does not have it: \(why)") }
        return ApusError(.unsupported, "there is no such command", hint: "HELLO lists the commands")
    }
}
