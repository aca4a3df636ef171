import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import CatalogTestKit
import Glibc

// A node's share of a law that needs several processes. Called by the law suites:
//
//     LawProcess COMMAND KEY=VALUE…
//
// The database's address comes in APUS_LAW_DATABASE. Each line of the output is a fact; the exit status is 0 when the command was done.

/// Unbuffered: a killed process has said what it knew.
func say(_ line: String, to descriptor: Int32 = STDOUT_FILENO) {
    var bytes = Array((line + "\n").utf8)[...]
    while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        bytes = bytes.dropFirst(count)
    }
}

func fail(_ message: String) -> Never {
    say("LawProcess: \(message)", to: STDERR_FILENO)
    exit(1)
}

guard CommandLine.arguments.count > 1, let url = getenv("APUS_LAW_DATABASE").map({ String(cString: $0) }) else {
    fail("usage: APUS_LAW_DATABASE=URL LawProcess COMMAND KEY=VALUE…")
}
let command = CommandLine.arguments[1]
let options = Dictionary(
    CommandLine.arguments.dropFirst(2).map { argument in
        let parts = argument.split(separator: "=", maxSplits: 1)
        return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }, uniquingKeysWith: { $1 })

func number(_ key: String) -> Int {
    guard let value = options[key].flatMap(Int.init) else { fail("\(key)=NUMBER is missing") }
    return value
}

let loops = EventLoops(count: 1)
do {
    let clock = BootClock()
    let deadline = clock.now.advanced(by: .seconds(number("seconds")))
    let database = try await PostgreSQLDatabase.open(url: Redacted(url), loops: loops, deadline: deadline)
    let catalog = try await Catalog.open(database, clock: clock)
    let workload = Workload(
        process: options["process"] ?? "p", writers: number("writers"), requests: number("requests"), seed: UInt64(number("seed")),
        deadline: deadline)
    switch command {
    case "publish": try await workload.publish(to: catalog)
    case "append":
        let shards = (options["shards"] ?? "").split(separator: ",").compactMap { Int64($0) }.map { ShardID($0) }
        for line in try await workload.append(to: catalog, shards: shards).map(\.line) { say(line) }
    default: fail("unknown command \(command)")
    }
    await database.close()
} catch {
    fail("\(command): \(error)")
}
