internal import ApusHTTP
internal import ApusRuntime
internal import ApusSchemas
internal import ApusTypes

/// A server over HTTP whose requests are functions.
///
/// A reply of another status than 2xx is an error. Redirects are followed a few times, never from HTTPS to HTTP, never with credentials to
/// another server, and those of requests that change something only where the server says that nothing was done (307, 308).
final class HTTPSource: FunctionSource {
    struct Options: Sendable {
        /// Of one reply.
        var reply: ByteCount = .mebibytes(16)
        var redirects = 5
        /// Of one request, within its own deadline.
        var time: Duration = .seconds(30)
    }

    let name: String
    private let address: HTTPAddress
    private let server: WebAddress
    private let client: HTTPClient
    private let tokens: OAuthTokens?
    private let transform: JSONTransform?
    private let options: Options

    init(
        _ name: String, _ address: HTTPAddress, client: HTTPClient, transform: JSONTransform?, options: Options = Options()
    ) throws(ApusError) {
        guard let server = address.server else {
            throw ApusError(.requestInvalid, "data source \"\(name)\" says no server", hint: "add x-hugr-server=https://… to its path")
        }
        self.name = name
        self.address = address
        self.server = server
        self.client = client
        self.transform = transform
        self.options = options
        tokens = if case .oauth(let grant)? = address.security { OAuthTokens(grant) } else { nil }
    }

    func close() async {}

    func call(
        _ function: DataFunction, _ arguments: JSONObject, identity: JSONObject, deadline: Instant
    ) async throws -> JSONValue {
        guard let template = function.request, let method = Method(rawValue: template.method) else {
            throw ApusError(.sourceRejected, "function \"\(function.name)\" of data source \"\(name)\" is no request")
        }
        let question = try HTTPQuestion(template, arguments, identity: identity, source: name)
        let deadline = min(deadline, BootClock.now.advanced(by: options.time))
        let value = try await told { try await self.value(of: method, question, deadline) }
        guard !template.program.isEmpty else { return value }
        guard let transform else {
            throw ApusError(
                .sourceRejected, "function \"\(function.name)\" of data source \"\(name)\" needs jq, which this node does not have")
        }
        return try JSONValue(parsing: try await transform(template.program, value.serialized(), arguments, deadline))
    }

    // MARK: Requests

    private func value(of method: Method, _ question: HTTPQuestion, _ deadline: Instant) async throws -> JSONValue {
        var url = server.below(question.path)
        // What the author wrote behind a question mark stays.
        if let mark = url.path.firstIndex(of: "?") {
            url.query = String(url.path[url.path.index(after: mark)...])
            url.path = String(url.path[..<mark])
        }
        let items = PercentEncoding.query(address.parameters + question.parameters)
        url.query = [url.query, items].filter { !$0.isEmpty }.joined(separator: "&")
        var headers = Headers([("Accept", "application/json")])
        for (name, value) in question.headers { headers[name] = value }
        let body = question.body.map { $0.serialized() }
        if body != nil, headers["Content-Type"] == nil { headers["Content-Type"] = "application/json" }
        let request = ClientRequest(method, url.text, headers: headers, body: body.map { .bytes($0) } ?? .none, deadline: deadline)
        var isRepeated = false
        while true {
            let token = try await token(deadline)
            let response = try await follow(request, url, token)
            // A token may be withdrawn before its end; the server has done nothing.
            if response.status == 401, let token, !isRepeated {
                isRepeated = true
                await tokens?.forget(token)
                continue
            }
            return try await value(of: response, to: "\(method.rawValue) \(url.path)")
        }
    }

    private func token(_ deadline: Instant) async throws -> Redacted<String>? {
        try await tokens?.current { form, grant in
            guard let url = server.following(grant.tokenURL) else {
                throw ApusError(.sourceRejected, "data source \"\(name)\" has a tokenUrl that is no URL of HTTP")
            }
            var headers: Headers = ["Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"]
            if !grant.clientID.isEmpty {
                headers["Authorization"] = Self.basic(
                    PercentEncoding.encoded(grant.clientID), PercentEncoding.encoded(grant.clientSecret.reveal()))
            }
            let request = ClientRequest(.post, url.text, headers: headers, body: .bytes(Array(form.utf8)), deadline: deadline)
            return try await value(of: try await client.send(request), to: "the request for a token")
        }
    }

    /// The reply, behind redirects.
    private func follow(_ request: ClientRequest, _ first: WebAddress, _ token: Redacted<String>?) async throws -> ClientResponse {
        var request = request
        var url = first
        for _ in 0...options.redirects {
            var sent = request
            sent.url = url.text
            // Credentials are this server's.
            if url.origin == server.origin { authenticate(&sent, url, token) }
            let response = try await client.send(sent)
            guard [301, 302, 303, 307, 308].contains(response.status), let location = response.headers["Location"] else { return response }
            guard let next = url.following(location), next.isTLS || !url.isTLS else {
                throw rejected("redirects to \"\(location)\", which is not followed")
            }
            let isSafe = [.get, .head].contains(request.method)
            switch response.status {
            case 303: (request.method, request.body) = (request.method == .head ? .head : .get, .none)
            case 301,
                302 where !isSafe:
                throw rejected("redirects a \(request.method.rawValue), which is not sent again")
            default: break
            }
            if next.origin != url.origin, case .bytes = request.body {
                throw rejected("redirects a body to another server, which is not followed")
            }
            url = next
        }
        throw rejected("redirects more than \(options.redirects) times")
    }

    private func authenticate(_ request: inout ClientRequest, _ url: WebAddress, _ token: Redacted<String>?) {
        switch address.security {
        case .key(let name, .header, let value)?: request.headers[name] = value.reveal()
        case .key(let name, .cookie, let value)?: request.headers["Cookie"] = "\(name)=\(PercentEncoding.encoded(value.reveal()))"
        case .key(let name, .query, let value)?:
            request.url += (url.query.isEmpty ? "?" : "&") + PercentEncoding.query([(name, value.reveal())])
        case .basic(let user, let password)?: request.headers["Authorization"] = Self.basic(user, password.reveal())
        case .bearer(let token)?: request.headers["Authorization"] = "Bearer \(token.reveal())"
        case .oauth?: if let token { request.headers["Authorization"] = "Bearer \(token.reveal())" }
        case nil: break
        }
    }

    private static func basic(_ user: String, _ password: String) -> String { "Basic " + Base64.encoded(Array("\(user):\(password)".utf8)) }

    // MARK: Replies

    private func value(of response: ClientResponse, to what: String) async throws -> JSONValue {
        let bytes = try await response.collect(limit: options.reply)
        guard (200..<300).contains(response.status) else {
            let json = try? JSONValue(parsing: bytes)
            let said = (json?["message"] ?? json?["error_description"] ?? json?["error"])?.asString.map { ": \($0.prefix(200))" } ?? ""
            let summary = "data source \"\(name)\" answered \(response.status) to \(what)\(said)"
            let isTemporary = response.status == 429 || response.status >= 500
            throw ApusError(isTemporary ? .sourceUnavailable : .sourceRejected, summary)
        }
        if bytes.isEmpty { return .null }
        let type = response.headers["Content-Type"]?.lowercased() ?? ""
        if type.isEmpty || type.contains("json") {
            do throws(ApusError) { return try JSONValue(parsing: bytes) } catch {
                throw rejected("answered \(what) with what is no JSON: \(error.summary)")
            }
        }
        guard type.hasPrefix("text/"), let text = String(validating: bytes, as: UTF8.self) else {
            throw rejected("answered \(what) with \(type), which is neither JSON nor text")
        }
        return .string(text)
    }

    private func rejected(_ what: String) -> ApusError { ApusError(.sourceRejected, "data source \"\(name)\" \(what)") }

    /// The client's own errors as the source's.
    private func told<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch var error as ApusError {
            let why = error.summary
            switch error.code {
            case .peerUnavailable, .peerInvalid: (error.code, error.summary) = (.sourceUnavailable, "cannot be asked: \(why)")
            case .requestTooLarge: (error.code, error.summary) = (.sourceRejected, "answered with more than \(options.reply)")
            case .forbidden: (error.code, error.summary) = (.sourceRejected, "is not asked: \(why); set query.allow_link_local")
            case .deadlineExceeded: error.summary = "did not answer in time"
            default: throw error
            }
            error.summary = "data source \"\(name)\" \(error.summary)"
            throw error
        }
    }
}
