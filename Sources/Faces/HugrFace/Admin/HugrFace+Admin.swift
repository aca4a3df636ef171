internal import ApusHTTP

/// `/admin`: a page to ask with. Everything that it needs is served here, and it holds nothing that a key would have to guard: what it asks for
/// is asked with the key that its user gives it.
extension HugrFace {
    /// Served to everybody: a browser has no way to send a key with a page's address.
    func mountPage(on router: inout Router) {
        router.on(.get, "/admin") { _ in Self.page("text/html; charset=utf-8", ExplorerPage.html) }
        router.on(.get, "/admin/explorer.js") { _ in Self.page("text/javascript; charset=utf-8", ExplorerPage.script) }
        router.on(.get, "/admin/explorer.css") { _ in Self.page("text/css; charset=utf-8", ExplorerPage.style) }
    }

    private static func page(_ type: String, _ text: String) -> Response {
        var response = Response(type: type, bytes: Array(text.utf8))
        // Nothing from anywhere else, and no page around it: a value in a reply is shown as text and can be nothing more.
        response.headers["Content-Security-Policy"] =
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-cache"
        return response
    }
}
