internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

extension CollectionCommand {
    static let points = Option.value("points", "N", .integer(0...CollectionForecast.mostPoints), "Points that it will hold.")
    static let payloadBytes = Option.value("payload-bytes", "N", .integer(0...(64 << 20)), "Bytes of a point's payload as JSON; default 0.")
    static let idBytes = Option.value(
        "id-bytes", "N", .integer(0...1024), "Bytes of a point's id where that is a string; default 0, for integers and UUIDs.")

    static let forecast: Command = Command(
        name: "forecast", summary: "Say what a collection would take of memory and disk.",
        discussion: """
            The node computes it from the layouts of its memory and its segments, for one dense vector for each point, and compares it with its \
            machine's memory; in a container its limit counts. Merging, which rewrites segments, needs room on disk for the old and the new ones \
            for the time.
            """,
        options: [points, dimension, metric, shards, payloadBytes, idBytes] + ClientOptions.all,
        examples: [
            .init("apus collection forecast --points 1000000 --dimension 384", "a million sentence embeddings"),
            .init("apus collection create words -d 384 --points 1000000 --dry-run", "the same before a collection is created"),
        ],
        run: { invocation in
            let forecast = try await askForecast(invocation)
            if invocation.wantsJSON {
                invocation.terminal.print(forecast.description)
            } else {
                printForecast(forecast, invocation.terminal)
            }
            return .success
        })

    static func askForecast(_ invocation: Invocation) async throws -> JSONValue {
        guard let count = invocation.integer(points), let dimension = invocation.integer(dimension) else {
            throw ApusError(.usage, "--points and --dimension are needed to forecast", hint: "apus collection forecast --help")
        }
        var query = "points=\(count)&dimension=\(dimension)&metric=\(invocation.text(metric) ?? "cosine")"
        for (option, name) in [(shards, "shards"), (payloadBytes, "payload_bytes"), (idBytes, "id_bytes")] {
            if let value = invocation.integer(option) { query += "&\(name)=\(value)" }
        }
        return try await NodeClient(invocation).call(.get, "/api/forecast?\(query)")
    }

    static func printForecast(_ forecast: JSONValue, _ terminal: Terminal) {
        func size(_ value: JSONValue?) -> String { value?.asInteger.map { ByteCount(Int($0)).description } ?? "?" }
        func count(_ value: JSONValue?) -> String { value?.asInteger.map { grouped(Int($0)) } ?? "?" }
        let each = forecast["per_point"]
        var table = Table(header: ["WHAT", "IN ALL", "EACH POINT"], rightAligned: [1, 2])
        table.rows = [
            ["memory that searches look at", size(forecast["searched_bytes"]), count(each?["searched_bytes"]) + " B"],
            ["memory to keep all in", size(forecast["whole_bytes"]), ""],
            ["  of both, not yet sealed (\(count(forecast["unsealed"]?["points"])) points)", size(forecast["unsealed"]?["bytes"]), ""],
            ["memory while segments are made, besides", size(forecast["building_bytes"]), ""],
            ["disk", size(forecast["disk_bytes"]), count(each?["disk_bytes"]) + " B"],
        ]
        table.lines(terminal).forEach { terminal.print($0) }
        let machine = forecast["machine"]
        let limit = machine?["limit_bytes"]?.asInteger.map { ", limited to \(ByteCount(Int($0)))" } ?? ""
        let verdict =
            switch forecast["verdict"]?.asString {
            case "fits": "all of it fits"
            case "searched_fits": "what searches look at fits; vectors as written and payloads of what they find may be read from disk"
            case "too_large": "it does not fit: searches would wait for the disk"
            default: "its memory is not known"
            }
        terminal.print("\(machine?["node"]?.asString ?? "the node") has \(size(machine?["memory_bytes"]))\(limit): \(verdict)")
    }
}
