internal import ApusConfig
internal import ApusHTTP
internal import ConsoleFace

/// The origins of the face that a path belongs to: pages that may use one face must not read another on the same listener.
struct FaceCORS: Middleware {
    private let vectorizer: CORS?
    private let console: CORS?

    init(_ faces: Configuration.Faces) {
        func cors(_ origins: [String]) -> CORS? { origins.isEmpty ? nil : CORS(origins: origins) }
        vectorizer = cors(faces.vectorizer.corsOrigins)
        console = cors(faces.console.corsOrigins)
    }

    func handle(_ request: Request, next: Handler) async throws -> Response {
        guard let cors = ConsoleFace.owns(request.path) ? console : vectorizer else { return try await next(request) }
        return try await cors.handle(request, next: next)
    }
}
