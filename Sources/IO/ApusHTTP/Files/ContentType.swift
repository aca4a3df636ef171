/// Content types by file extension; what is not listed is `application/octet-stream`, which no browser runs.
enum ContentType {
    static func of(path: String) -> String {
        guard let name = path.split(separator: "/").last, let dot = name.lastIndex(of: "."), dot != name.startIndex else { return other }
        return table[name[name.index(after: dot)...].lowercased()] ?? other
    }

    private static let other = "application/octet-stream"

    private static let table: [String: String] = [
        "arrow": "application/vnd.apache.arrow.file",
        "avif": "image/avif",
        "css": "text/css; charset=utf-8",
        "csv": "text/csv; charset=utf-8",
        "gif": "image/gif",
        "graphql": "application/graphql; charset=utf-8",
        "gz": "application/gzip",
        "htm": "text/html; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "ico": "image/x-icon",
        "jpeg": "image/jpeg",
        "jpg": "image/jpeg",
        "js": "text/javascript; charset=utf-8",
        "json": "application/json",
        "jsonl": "application/x-ndjson",
        "map": "application/json",
        "md": "text/markdown; charset=utf-8",
        "mjs": "text/javascript; charset=utf-8",
        "mp3": "audio/mpeg",
        "mp4": "video/mp4",
        "ogg": "audio/ogg",
        "parquet": "application/vnd.apache.parquet",
        "pdf": "application/pdf",
        "png": "image/png",
        "srt": "application/x-subrip; charset=utf-8",
        "svg": "image/svg+xml",
        "txt": "text/plain; charset=utf-8",
        "vtt": "text/vtt; charset=utf-8",
        "wasm": "application/wasm",
        "wav": "audio/wav",
        "webm": "video/webm",
        "webp": "image/webp",
        "woff2": "font/woff2",
        "xml": "application/xml",
        "yaml": "application/yaml",
        "yml": "application/yaml",
        "zip": "application/zip",
    ]
}
