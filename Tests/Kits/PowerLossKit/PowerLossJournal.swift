import Glibc

/// What PowerLossRecorder wrote: the calls that changed files below one directory, in their order, and marks of the program.
public struct PowerLossJournal: Sendable {
    public enum Record: Sendable {
        case open(descriptor: Int, path: String, isNew: Bool)
        case close(descriptor: Int)
        case write(descriptor: Int, offset: Int, bytes: [UInt8])
        case truncate(descriptor: Int, size: Int)
        case sync(descriptor: Int)
        case rename(from: String, to: String)
        case remove(path: String)
        case makeDirectory(path: String)
        case mark(String)
    }

    public var records: [Record] = []

    /// Reads the whole journal; what cannot be one traps, because then the test means nothing.
    public init(contentsOf path: String) {
        let bytes = readFile(path)
        var next = 0
        while next < bytes.count {
            let end = bytes[next...].firstIndex(of: 10)!  // each record begins with a line
            let head = String(decoding: bytes[next..<end], as: UTF8.self).split(separator: " ")
            let (descriptor, offset, length) = (Int(head[1])!, Int(head[2])!, Int(head[3])!)  // the recorder's four words
            let data = Array(bytes[end + 1..<end + 1 + length])
            let text = String(decoding: data, as: UTF8.self)
            next = end + 1 + length
            switch head[0] {
            case "N", "O": records.append(.open(descriptor: descriptor, path: text, isNew: head[0] == "N"))
            case "C": records.append(.close(descriptor: descriptor))
            case "W": records.append(.write(descriptor: descriptor, offset: offset, bytes: data))
            case "T": records.append(.truncate(descriptor: descriptor, size: offset))
            case "S": records.append(.sync(descriptor: descriptor))
            case "R":
                let names = text.split(separator: "\n").map(String.init)
                records.append(.rename(from: names[0], to: names[1]))
            case "U": records.append(.remove(path: text))
            case "M": records.append(.makeDirectory(path: text))
            case "K": records.append(.mark(text))
            default: preconditionFailure("an unknown record \(head)")
            }
        }
    }

    /// Where the program said `text`.
    public func index(ofMark text: String) -> Int? {
        records.firstIndex { if case .mark(text) = $0 { true } else { false } }
    }

    /// What the program had said before the power was lost at `cut`.
    public func marks(before cut: Int) -> [String] {
        records[..<cut].compactMap { if case .mark(let text) = $0 { text } else { nil } }
    }

    /// How often files, and directories, were synced.
    public var syncs: (files: Int, directories: Int) {
        var directories: Set<Int> = []
        var paths: Set<String> = [""]
        var counts = (files: 0, directories: 0)
        for record in records {
            switch record {
            case .makeDirectory(let path): paths.insert(path)
            case .open(let descriptor, let path, _):
                if paths.contains(path) { directories.insert(descriptor) } else { directories.remove(descriptor) }
            case .sync(let descriptor): if directories.contains(descriptor) { counts.directories += 1 } else { counts.files += 1 }
            default: break
            }
        }
        return counts
    }
}

func readFile(_ path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    precondition(descriptor >= 0, "cannot open \(path)")
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        precondition(count >= 0, "cannot read \(path)")
        if count == 0 { return bytes }
        bytes += buffer[..<count]
    }
}
