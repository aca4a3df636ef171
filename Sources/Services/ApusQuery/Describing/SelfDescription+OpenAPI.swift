internal import ApusConfig
internal import ApusHTTP
internal import ApusRuntime
internal import ApusSchemas
internal import ApusTypes

/// Servers over HTTP that describe themselves by a specification of OpenAPI.
extension SelfDescription {
    /// Of one document.
    static let largestSpecification = ByteCount.mebibytes(8)

    static func file(
        of definition: SourceDefinition, at path: Redacted<String>, client: HTTPClient, pool: BlockingPool, deadline: Instant
    ) async throws -> SchemaFile {
        let address = try HTTPAddress(path, source: definition.name)
        let bytes: [UInt8]
        var place: WebAddress?
        switch address.specification {
        case .file(let path)?:
            bytes = Array(try await pool.run(deadline: deadline) { try SchemaTexts.file(path) }.text.utf8)
        case .url(let url)?:
            guard let found = address.server?.following(url) ?? WebAddress(url) else {
                throw refused(definition, "its x-hugr-spec-url is no URL of HTTP")
            }
            place = found
            bytes = try await fetched(found, definition, client, deadline)
        case nil: throw refused(definition, "its path names no specification; add x-hugr-spec-url=… or x-hugr-spec-path=…")
        }
        let specification = try value(of: bytes, definition)
        let description: OpenAPIDescription
        do throws(OpenAPIDescription.Problem) {
            description = try OpenAPIDescription(specification)
        } catch {
            throw refused(definition, error.message)
        }
        let server = description.server.flatMap { place?.following($0) ?? WebAddress($0) }
        let facts = HTTPFacts(server: server?.text, schemes: description.securitySchemes)
        return SchemaFile(name: "\(definition.name) (its specification)", text: facts.line + description.text)
    }

    private static func fetched(
        _ url: WebAddress, _ definition: SourceDefinition, _ client: HTTPClient, _ deadline: Instant
    ) async throws -> [UInt8] {
        let accepted: Headers = ["Accept": "application/json, application/yaml;q=0.9, */*;q=0.1"]
        let response: ClientResponse
        do {
            response = try await client.send(ClientRequest(.get, url.text, headers: accepted, deadline: deadline))
            guard response.status == 200 else { throw refused(definition, "\(url.text) answers \(response.status)") }
            return try await response.collect(limit: largestSpecification)
        } catch let error as ApusError where error.code != .schemaInvalid {
            throw ApusError(
                .sourceUnavailable, "the specification of data source \"\(definition.name)\" cannot be read: \(error.summary)", cause: error
            )
        }
    }

    /// JSON, or YAML.
    private static func value(of bytes: [UInt8], _ definition: SourceDefinition) throws(ApusError) -> JSONValue {
        if bytes.first(where: { ![9, 10, 13, 32].contains($0) }) == UInt8(ascii: "{") {
            do throws(ApusError) { return try JSONValue(parsing: bytes) } catch { throw refused(definition, error.summary) }
        }
        var limits = YAMLParser.Limits()
        limits.bytes = largestSpecification.bytes
        limits.depth = 64
        limits.nodes = 500_000
        do throws(YAMLParser.Failure) {
            return try YAMLParser(limits: limits).parse(bytes)?.json ?? .null
        } catch {
            throw refused(definition, "line \(error.mark.line): \(error.reason)")
        }
    }

    private static func refused(_ definition: SourceDefinition, _ why: String) -> ApusError {
        ApusError(.schemaInvalid, "the specification of data source \"\(definition.name)\" cannot be used: \(why)")
    }
}

/// What a specification says beside functions and types, which every node needs that serves the source: in the first line of its text.
struct HTTPFacts: Sendable, Hashable {
    var server: String?
    var schemes: JSONObject

    private static let mark = "# specification: "

    init(server: String?, schemes: JSONObject) {
        self.server = server
        self.schemes = schemes
    }

    /// Of a source's own texts; nothing where it has no specification.
    init(_ files: [SchemaFile]) {
        let line = files.lazy.compactMap { $0.text.split(separator: "\n", maxSplits: 1).first }.first { $0.hasPrefix(Self.mark) }
        let value = line.flatMap { try? JSONValue(parsing: Array($0.dropFirst(Self.mark.count).utf8)) }
        self.init(server: value?["server"]?.asString, schemes: value?["security_schemes"]?.asObject ?? [:])
    }

    var line: String {
        let facts = JSONValue.object(["server": server.map { .string($0) } ?? .null, "security_schemes": .object(schemes)])
        return Self.mark + facts.description + "\n"
    }
}

extension YAMLNode {
    fileprivate var json: JSONValue {
        switch content {
        case .scalar(let scalar):
            switch scalar.core {
            case .null: .null
            case .bool(let flag): .bool(flag)
            case .integer(let number): .integer(number)
            case .double(let number): .double(number)
            case .string(let text): .string(text)
            }
        case .sequence(let elements): .array(elements.map(\.json))
        case .mapping(let entries): .object(JSONObject(entries.map { ($0.key, $0.value.json) }))
        }
    }
}
