internal import ApusConfig
internal import ApusHTTP
internal import ConsoleFace
internal import HugrFace
internal import QdrantFace

/// The origins of the face that a path belongs to: pages that may use one face must not read another on the same listener.
struct FaceCORS: Middleware {
    private let vectorizer: CORS?
    private let qdrant: CORS?
    private let hugr: CORS?
    private let console: CORS?
    private let isQdrantAtRoot: Bool

    init(_ faces: Configuration.Faces, isQdrantAtRoot: Bool) {
        self.isQdrantAtRoot = isQdrantAtRoot
        func cors(_ origins: [String]) -> CORS? { origins.isEmpty ? nil : CORS(origins: origins) }
        vectorizer = cors(faces.vectorizer.corsOrigins)
        qdrant = cors(faces.qdrant.corsOrigins)
        hugr = cors(faces.hugr.corsOrigins)
        console = cors(faces.console.corsOrigins)
    }

    func handle(_ request: Request, next: Handler) async throws -> Response {
        let own = isQdrantAtRoot || QdrantFace.owns(request.path) ? qdrant : vectorizer
        let others = HugrFace.owns(request.path) ? hugr : own
        guard let cors = ConsoleFace.owns(request.path) ? console : others else { return try await next(request) }
        return try await cors.handle(request, next: next)
    }
}
