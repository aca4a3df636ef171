import ApusTypes
import Foundation

/// A graph of one of the libraries.
struct PeerIndex: BenchedIndex {
    let name: String
    let buildSeconds: Double
    let bytes: Int
    let efforts = 10.0...800.0
    let curve: [Double] = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400, 600]
    private let peers: Peers
    private let key: [String: JSONValue]

    init(_ peers: Peers, _ peer: String, links: Int, effort: Int) throws {
        self.peers = peers
        name = "\(peer) M \(links) efC \(effort)"
        let answer = try peers.ask([
            "do": "build", "peer": .string(peer), "m": .integer(Int64(links)), "ef": .integer(Int64(effort)),
            "threads": .integer(Int64(VectorsBench.threads)),
        ])
        buildSeconds = answer["cpu"]?.asDouble ?? 0
        bytes = answer["bytes"]?.asInteger.map { Int($0) } ?? 0
        key = ["peer": .string(peer), "m": .integer(Int64(links)), "ef_build": .integer(Int64(effort))]
        progress("\(name) is built, \(BenchReport.short(buildSeconds)) CPU s")
    }

    func describe(_ effort: Double) -> String { "ef \(Int(effort.rounded(.up)))" }

    func search(_ numbers: [Int], in set: QuerySet, effort: Double, times: Int) throws -> (seconds: Double, rows: [[Int]]) {
        let found = try search(numbers, effort: effort, times: times)
        return (found.cpu, found.rows)
    }

    /// Among those that pass the filter of that number, if one is given.
    func search(_ numbers: [Int], effort: Double, filter: Int? = nil, times: Int = 1) throws -> (cpu: Double, wall: Double, rows: [[Int]]) {
        var job = key
        job["do"] = "search"
        job["ef"] = .integer(Int64(effort.rounded(.up)))
        job["k"] = .integer(Int64(VectorsBench.limit))
        job["queries"] = .array(numbers.map { .integer(Int64($0)) })
        job["times"] = .integer(Int64(times))
        if let filter { job["filter"] = .integer(Int64(filter)) }
        let answer = try peers.ask(job)
        return (answer["cpu"]?.asDouble ?? .nan, answer["wall"]?.asDouble ?? .nan, answer.foundRows)
    }
}

extension JSONValue {
    /// Of a peers' answer.
    var foundRows: [[Int]] {
        (self["rows"]?.asArray ?? []).map { ($0.asArray ?? []).compactMap { $0.asInteger.map { Int($0) } } }
    }
}
