import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import CatalogTestKit
import Glibc

// A node's share of a law that needs several processes, or the sudden end of one. Called by the law suites:
//
//     LawProcess COMMAND KEY=VALUE…
//
//     publish process= writers= requests= seed= seconds=            one change of the feed after another
//     append  … shards=1,2,…                                        `Acknowledged` lines at the end
//     appendMixed … shards=1,2,…                                    the same after `Mixed` lines
//     appendOneByOne …                                              `Acknowledged` lines as they come
//     once    key= process= shards= seconds=                        `done REPLY`, `repeat REPLY` or `failed CODE`; see `Fault`
//     lease   node= process= seconds=                               seeks the leader's lease and acts under it until it is killed
//
// The database's address comes in APUS_LAW_DATABASE: PostgreSQL's URL, or `sqlite:PATH`. Each line of the output is a fact, the first is
// `open`; the exit status is 0 when the command was done.

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

func text(_ key: String) -> String {
    guard let value = options[key] else { fail("\(key)=TEXT is missing") }
    return value
}

func number(_ key: String) -> Int {
    guard let value = options[key].flatMap(Int.init) else { fail("\(key)=NUMBER is missing") }
    return value
}

let loops = EventLoops(count: 1)
do {
    let clock = BootClock()
    let deadline = clock.now.advanced(by: .seconds(number("seconds")))
    var database: any Database =
        url.hasPrefix("sqlite:")
        ? try await SQLiteDatabase.open(path: String(url.dropFirst("sqlite:".count)))
        : try await PostgreSQLDatabase.open(url: Redacted(url), loops: loops, deadline: deadline)
    let fault = Fault.fromEnvironment()
    if let fault { database = FaultyDatabase(base: database, fault: fault) }
    let catalog = try await Catalog.open(database, clock: clock)
    say("open")
    let shards = (options["shards"] ?? "").split(separator: ",").compactMap { Int64($0) }.map { ShardID($0) }
    var workload: Workload {
        var workload = Workload(
            process: text("process"), writers: number("writers"), requests: number("requests"), seed: UInt64(number("seed")),
            deadline: deadline)
        if let stop = options["stop"].flatMap(Int.init) { workload.stop = clock.now.advanced(by: .seconds(stop)) }
        return workload
    }
    switch command {
    case "publish": try await workload.publish(to: catalog)
    case "append":
        for line in try await workload.append(to: catalog, shards: shards).map(\.line) { say(line) }
    case "appendMixed":
        var mixed = workload
        mixed.settlesPerThousand = 20
        let done = try await mixed.appendMixed(to: catalog, shards: shards)
        for line in done.mixed.lines + done.acknowledged.map(\.line) { say(line) }
    case "appendOneByOne":
        try await workload.appendOneByOne(to: catalog, shards: shards) { say($0.line) }
    case "once":
        fault?.arm()
        await once(catalog, key: text("key"), process: text("process"), shards: shards, deadline: deadline)
    case "lease":
        let keeper = catalog.leases.keeper(node: NodeName(text("node")), process: text("process"))
        let holder = "\(text("node"))/\(text("process"))"
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await keeper.run() }
            await LeaseEffects.run(catalog, keeper: keeper, holder: holder)
            await group.waitForAll()
        }
    default: fail("unknown command \(command)")
    }
    await database.close()
} catch {
    fail("\(command): \(error)")
}

/// One append, told apart from its repeats by the reply that its process would give.
func once(_ catalog: Catalog, key: String, process: String, shards: [ShardID], deadline: Instant) async {
    let request = AppendRequest(
        operationID: OperationID(scope: "law", id: key, bodyDigest: Digest(of: key)),
        appends: shards.map { LogAppend(shard: $0, operation: Array("\(key)/\($0)".utf8)) },
        reply: Array("reply-by-\(process)".utf8))
    do {
        let outcome = try await catalog.log.append(request, deadline: deadline)
        say("\(outcome.isRepeat ? "repeat" : "done") \(String(decoding: outcome.reply, as: UTF8.self))")
    } catch {
        say("failed \((error as? ApusError)?.code.rawValue ?? "\(error)")")
    }
}
