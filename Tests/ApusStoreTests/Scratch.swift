import ApusRuntime
import ApusTypes
import Glibc

/// A directory of its own for one test, removed with everything in it when the test ends.
final class Scratch: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/apus-store-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "no directory can be made in /tmp")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { removeTree(path) }
}

/// Removes what is at `path`, and everything under it.
func removeTree(_ path: String) {
    for entry in entries(of: path) {
        if entry.isDirectory { removeTree(entry.path) } else { unlink(entry.path) }
    }
    rmdir(path)
}

/// Paths of all files under a directory.
func files(under path: String) -> [String] {
    entries(of: path).flatMap { $0.isDirectory ? files(under: $0.path) : [$0.path] }.sorted()
}

private func entries(of path: String) -> [(path: String, isDirectory: Bool)] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var found: [(String, Bool)] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { found.append((path + "/" + name, entry.pointee.d_type == UInt8(DT_DIR))) }
    }
    return found
}

/// Far enough for a call that works, near enough for a test that hangs to end.
var soon: Instant { BootClock.now.advanced(by: .seconds(60)) }

/// SplitMix64 (Steele, Lea, Flood 2014): what a seed says is what every run does.
struct SeededRandom: RandomNumberGenerator, Sendable {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let word = next()
                for shift in stride(from: 0, to: 64, by: 8) where filled < count {
                    buffer[filled] = UInt8(truncatingIfNeeded: word >> UInt64(shift))
                    filled += 1
                }
            }
        }
    }
}

/// The code of the `ApusError` that `body` throws; nil if it throws none.
func code(_ body: () async throws -> Void) async -> ErrorCode? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ApusError)?.code ?? ErrorCode(rawValue: "\(error)")
    }
}
