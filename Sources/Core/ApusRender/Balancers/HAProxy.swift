/// HAProxy 2.6 or later. It asks the nodes for their health itself; the membership adds and removes them.
///
/// It sends again only what its buffer held whole (`tune.bufsize`): larger bodies are tried on a second node only if the first took no
/// connection. Timeouts and retries are a backend's, so each class of calls is one, with the same servers; the first one checks them.
extension LoadBalancer {
    /// `status` is where HAProxy shows what it does (`/haproxy-status`); keep it on loopback. `user`, with a group of the same name, is whom
    /// HAProxy becomes when root starts it; nil: nobody else.
    public func haproxy(status: Endpoint? = nil, user: String? = "haproxy") -> String {
        let page = status.map { place in
            """
            listen apus_status
                bind \(place)
                timeout server 10s
                stats enable
                stats uri /haproxy-status

            """
        }
        let parts = [haproxyDefaults(user: user.map(identifier)), page].compactMap(\.self)
        return (parts + frontends.map { HAProxyFrontend(frontend: $0, timings: timings).text }).joined(separator: "\n")
    }

    private func haproxyDefaults(user: String?) -> String {
        let errors = [BalancerError.broken, .unreachable, .late].map { error in
            """
                http-error status \(error.status) content-type application/json hdr Retry-After 1 hdr X-Request-Id %[var(txn.id)] \
            lf-string '\(error.json(requestID: "%[var(txn.id)]"))'

            """
        }
        return """
            # Apus behind HAProxy (2.6 or later), written by `apus render haproxy` from the cluster's members: what is changed here is lost
            # when it is written again.

            global
                log stdout format raw daemon notice
            \(user.map { "    user \($0)\n    group \($0)\n" } ?? "")\
                # Of a request: what fits can be tried on a second node.
                tune.bufsize 65536

            defaults
                mode http
                log global
                option forwardfor
                balance leastconn
                http-reuse safe
                # Two tries, on two nodes.
                retries 1
                option redispatch 1
                timeout connect \(timings.connect.configured)
                timeout client 75s
                timeout http-request 10s
                timeout http-keep-alive 75s
                timeout queue 1s
                timeout tunnel \(timings.stream.configured)
                timeout check \(timings.checkTimeout.configured)
                default-server inter \(timings.checkInterval.configured) fall \(timings.checksToFall) rise 1
                # A node that cannot write still reads: all stay when the catalog is away.
                option httpchk
                http-check send meth GET uri /health/ready?role=read ver HTTP/1.1 hdr Host localhost
                http-check expect status 200
                # What HAProxy says itself.
            \(errors.joined())
            """
    }
}

/// One frontend's part of the file.
private struct HAProxyFrontend {
    let frontend: Frontend
    let timings: LoadBalancerTimings
    var name: String { frontend.identifier }

    var text: String {
        """
        frontend \(name)
            bind \(frontend.listen)
            unique-id-format %[uuid()]
            # An id for each request: the client's where it is a harmless one.
            http-request set-var(txn.id) unique-id
            http-request set-var(txn.id) req.hdr(x-request-id) if { req.hdr(x-request-id) -m reg '^[A-Za-z0-9._-]{1,128}$' }
            http-request set-header X-Request-Id %[var(txn.id)]
            http-request set-header X-Forwarded-Host %[req.hdr(host)]
            http-request set-header X-Forwarded-Proto http
            # What the calls do. What is not here is sent to one node only.
            http-request set-var-fmt(txn.call) "%[method] %[path]"
            acl reads method GET HEAD OPTIONS
        \(calls("reads", frontend.routes.reads))\(calls("writes", frontend.routes.writes))\
        \(frontend.routes.streams.map { "    acl streams path -m reg '^\($0.expression)$'\n" }.joined())\
            acl streams req.hdr(accept) -m sub text/event-stream multipart/mixed
            acl large req.hdr(content-length) -m len ge \(LoadBalancer.digitsOfLargeBody)
            acl large req.hdr(transfer-encoding) -m found
            # A write without a key gets one that is the same on both tries: the second node knows what the first has done.
            http-request set-header Idempotency-Key \(LoadBalancer.proxyKeyPrefix)%[unique-id] if writes !{ req.hdr(idempotency-key) -m found }
            use_backend \(name)_health if { path /health }
            use_backend \(name)_stream if streams
            use_backend \(name)_bulk if large reads or large writes
            use_backend \(name) if reads or writes
            default_backend \(name)_once

        # Interactive calls.
        \(backend("", timings.interactive, "option http-buffer-request", Self.retried))
        \(backend("_bulk", timings.answer, "retry-on conn-failure empty-response 502 503"))
        \(backend("_once", timings.answer))
        \(backend("_stream", timings.stream))
        # Is any node ready? Until the checks have found out, several are asked.
        \(backend("_health", .seconds(1), "http-request set-uri \(frontend.health)", "balance roundrobin", "retries 4", Self.retried))
        """
    }

    private static let retried = "retry-on conn-failure empty-response response-timeout 502 503"

    private func calls(_ acl: String, _ calls: [CallPattern]) -> String {
        calls.map { "    acl \(acl) var(txn.call) -m reg '^\($0.method) \($0.expression)$'\n" }.joined()
    }

    private func backend(_ suffix: String, _ time: Duration, _ options: String...) -> String {
        let (active, reserve, out) = frontend.pool
        func server(_ server: Frontend.Server, _ more: String = "") -> String {
            "server \(server.name) \(server.upstream.endpoint) \(suffix.isEmpty ? "check" : "track \(name)/\(server.name)")\(more)"
        }
        let servers = active.map { server($0) } + reserve.map { server($0, " backup") }
        let remarks = out.map { "# \($0.name) is left out: \($0.upstream.state.rawValue)" }
        return (["backend \(name)\(suffix)"] + (["timeout server \(time.configured)"] + options + servers + remarks).map { "    \($0)" })
            .joined(separator: "\n") + "\n"
    }
}
