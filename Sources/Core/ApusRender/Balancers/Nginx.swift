public import ApusTypes

/// nginx 1.22 or later, without any module that Debian's `nginx-light` lacks.
///
/// It asks nobody for health, so the servers are written anew when the membership changes, and one failure keeps a node out for a moment.
/// A location knows no methods, so `map`s find the class of a call, and the first location passes the call on to that of its class.
extension LoadBalancer {
    public enum NginxForm: Sendable, Hashable {
        /// What belongs into `http`: a file of its own in `/etc/nginx/conf.d`.
        case site
        /// A whole `nginx.conf` for an nginx that does nothing else, and keeps its files in this directory.
        case whole(directory: String)
    }

    /// Throws `config.invalid` for a directory that a configuration file cannot name.
    public func nginx(_ form: NginxForm = .site) throws(ApusError) -> String {
        let site = ([Self.nginxMaps] + frontends.map { NginxFrontend(frontend: $0, timings: timings).text }).joined(separator: "\n")
        guard case .whole(let directory) = form else { return Self.nginxHeader + site }
        try Self.requirePlain(directory)
        let lines = site.split(separator: "\n", omittingEmptySubsequences: false).map { $0.isEmpty ? "" : "    \($0)" }
        return Self.nginxHeader + Self.nginxMain(directory) + lines.joined(separator: "\n") + "}\n"
    }

    /// A whole configuration around a site's file, so that nginx can test the file (`nginx -t -c`) before it takes the place of another. What
    /// nginx keeps meanwhile is in `directory`. Throws `config.invalid` for a path that a configuration file cannot name.
    public static func nginxTrial(of file: String, in directory: String) throws(ApusError) -> String {
        try requirePlain(file)
        try requirePlain(directory)
        return nginxMain(directory) + "    include \"\(file)\";\n}\n"
    }

    private static func requirePlain(_ path: String) throws(ApusError) {
        guard path.hasPrefix("/"), path.utf8.allSatisfy({ isLetterOrDigit($0) || "/._- ".utf8.contains($0) }) else {
            throw ApusError(.configurationInvalid, "'\(path)' cannot be named in nginx's configuration", hint: "name a plain absolute path")
        }
    }

    private static let nginxHeader = """
        # Apus behind nginx (1.22 or later), written by `apus render nginx` from the cluster's members: what is changed here is lost when
        # it is written again. Put other sites into other files.


        """

    private static func nginxMain(_ directory: String) -> String {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "    \($0)_temp_path \"\(directory)/\($0)\";\n" }
        return """
            worker_processes auto;
            worker_rlimit_nofile 16384;
            pid "\(directory)/nginx.pid";
            # Workers of before a reload end their streams and uploads, but not for ever.
            worker_shutdown_timeout 10m;
            events { worker_connections 8192; }
            http {
                access_log off;
            \(temporary.joined())

            """
    }

    /// What does not depend on the frontend.
    private static let nginxMaps = """
        # An id for each request: the client's where it is a harmless one.
        map $http_x_request_id $apus_request_id {
            "~^[A-Za-z0-9._-]{1,128}$" $http_x_request_id;
            default $request_id;
        }
        # Connections to nodes are kept, except those that become WebSockets.
        map $http_upgrade $apus_connection {
            "~*^websocket$" upgrade;
            default "";
        }
        # Put before the name of a call: that it is a stream, or has a body that takes time.
        map "$http_upgrade|$http_accept" $apus_stream {
            "~*^websocket\\|" "stream ";
            "~*\\|.*(text/event-stream|multipart/mixed)" "stream ";
            default "";
        }
        map "$content_length|$http_transfer_encoding" $apus_large {
            "~^\\d{\(digitsOfLargeBody),}\\|" "large ";
            "~\\|." "large ";
            default "";
        }
        # Whether a request that failed had reached a node.
        map $upstream_bytes_sent $apus_sent {
            "~[1-9]" 1;
            default "";
        }

        """
}

/// One frontend's part of the file.
private struct NginxFrontend {
    let frontend: Frontend
    let timings: LoadBalancerTimings
    var name: String { frontend.identifier }

    var text: String { [upstream, maps, server].joined(separator: "\n") }

    private var upstream: String {
        let (active, reserve, out) = frontend.pool
        func lines(_ servers: [Frontend.Server], _ options: String) -> [String] {
            servers.map { "    server \($0.upstream.endpoint)\(options);  # \($0.name)" }
        }
        var servers: [String]
        switch active.count + reserve.count {
        case 0: servers = ["    server 127.0.0.1:1 down;  # there is nobody"]
        case 1: servers = lines(active, "")
        default:
            servers = lines(active, " max_fails=1 fail_timeout=\(timings.failureMemory.configured)")
            servers.append("    # When those have all failed a moment ago, everybody is asked: nginx alone would refuse.")
            servers += lines(active + reserve, " max_fails=0 backup")
        }
        servers += out.map { "    # \($0.name) is left out: \($0.upstream.state.rawValue)" }
        return """
            upstream \(name) {
                zone \(name) 256k;
                least_conn;
            \(servers.joined(separator: "\n"))
                keepalive 64;
                keepalive_timeout 30s;
            }
            """
    }

    private var maps: String {
        func lines(_ calls: [CallPattern], _ value: String) -> String {
            calls.map { "    \"~^\($0.method) \($0.expression)$\" \(value);\n" }.joined()
        }
        return """
            # What the calls do. What is not here is sent to one node only.
            map "$request_method $uri" $\(name)_call {
                "~^(GET|HEAD|OPTIONS) " read;
            \(lines(frontend.routes.reads, "read"))\(lines(frontend.routes.writes, "write"))\
                default other;
            }
            map "$apus_stream$apus_large$\(name)_call" $\(name)_class {
                "~^stream " stream;
                "~^large (read|write)$" bulk;
                "~^(read|write)$" interactive;
                default once;
            }
            # A write without a key gets one that is the same on both tries: the second node knows what the first has done.
            map "$\(name)_call|$http_idempotency_key" $\(name)_key {
                "write|" "\(LoadBalancer.proxyKeyPrefix)$request_id";
                default $http_idempotency_key;
            }

            """
    }

    private var server: String {
        let retried = "proxy_next_upstream error timeout http_502 http_503 non_idempotent"
        let streams = frontend.routes.streams.map(\.expression).joined(separator: "|")
        let uploads = """
                location ~ "^(\(streams))$" {
                    client_max_body_size 0;
                    return 593;
                }

            """
        return """
            server {
                listen \(frontend.listen);
                client_max_body_size \(frontend.maxBody.bytes);

                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_set_header Connection $apus_connection;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                proxy_set_header X-Forwarded-Host $http_host;
                proxy_set_header X-Forwarded-Proto $scheme;
                proxy_set_header X-Request-Id $apus_request_id;
                proxy_set_header Idempotency-Key $\(name)_key;
                proxy_connect_timeout \(timings.connect.configured);
                # Two tries. Where `non_idempotent` is missing, a POST or PATCH that was sent is not sent again.
                proxy_next_upstream error timeout;
                proxy_next_upstream_tries 2;

                recursive_error_pages on;
                error_page 413 = @too_large;
                error_page 502 503 = @broken;
                error_page 504 = @late;
                error_page 590 = @interactive;
                error_page 591 = @bulk;
                error_page 592 = @once;
                error_page 593 = @stream;

                location / {
                    if ($\(name)_class = bulk) { return 591; }
                    if ($\(name)_class = once) { return 592; }
                    if ($\(name)_class = stream) { return 593; }
                    return 590;
                }
            \(streams.isEmpty ? "" : uploads)\
            \(location("@interactive", timings.interactive, retried, "proxy_next_upstream_timeout \(timings.retryWindow.configured)"))\
            \(location("@bulk", timings.answer, retried))\
            \(location("@once", timings.answer))\
            \(location("@stream", timings.stream, "proxy_request_buffering off", "proxy_buffering off"))\

                # Is any node ready? All are asked, until one is.
                location = /health {
                    proxy_pass http://\(name)\(frontend.health);
                    proxy_read_timeout 1s;
                    proxy_next_upstream error timeout http_502 http_503;
                    proxy_next_upstream_tries 0;
                    proxy_next_upstream_timeout 4s;
                    error_page 502 503 504 = @unreachable;
                }
                location = /nginx-status {
                    stub_status;
                    access_log off;
                    allow 127.0.0.0/8;
                    allow ::1;
                    deny all;
                }

                # What nginx says itself.
                default_type application/json;
            \(error("@broken", .broken, "if ($apus_sent = \"\") { return 594; }", "error_page 594 = @unreachable;"))\
            \(error("@late", .late))\(error("@unreachable", .unreachable))\(error("@too_large", .tooLarge))\
            }

            """
    }

    private func location(_ place: String, _ time: Duration, _ more: String...) -> String {
        let lines = ["proxy_pass http://\(name)", "proxy_send_timeout \(time.configured)", "proxy_read_timeout \(time.configured)"]
        return "    location \(place) {\n" + (lines + more).map { "        \($0);\n" }.joined() + "    }\n"
    }

    private func error(_ place: String, _ error: BalancerError, _ before: String...) -> String {
        let headers = ["add_header X-Request-Id $apus_request_id always;"] + (error.isTransient ? ["add_header Retry-After 1 always;"] : [])
        let lines = before + headers + ["return \(error.status) '\(error.json(requestID: "$apus_request_id"))';"]
        return "    location \(place) {\n" + lines.map { "        \($0)\n" }.joined() + "    }\n"
    }
}
