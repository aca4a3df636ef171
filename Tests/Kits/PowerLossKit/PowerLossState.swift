import Glibc

/// The files of a directory as a disk may hold them after a power loss: what was synced is there; of the rest any part may be.
///
/// The model is stricter than today's file systems: writes that were not synced reach the disk in any subset of sectors, names that were
/// not synced (of files made, renamed, removed) in any subset for each directory; only a rename is one step. Syncing a file does not make its name durable.
public struct PowerLossState {
    /// Syncs that are taken as if the program had not made them: a law that does not fail then proves nothing.
    public enum Mutation: Sendable, CaseIterable { case none, withoutFileSyncs, withoutDirectorySyncs }

    fileprivate struct File {
        var durable: [UInt8] = []
        var pending: [Change] = []

        enum Change {
            case write(offset: Int, bytes: [UInt8])
            case truncate(size: Int)
        }
    }

    fileprivate struct Directory {
        var durable: [String: Int] = [:]
        var pending: [Change] = []

        enum Change {
            case set(String, Int)
            case remove(String)
            case rename(String, String, Int)
        }
    }

    private enum Node {
        case file(File)
        case directory(Directory)
    }

    private var nodes: [Node] = [.directory(Directory())]
    /// As the program sees it: the node of each path.
    private var names: [String: Int] = ["": 0]
    private var descriptors: [Int: Int] = [:]

    private let journal: PowerLossJournal
    private let mutation: Mutation
    private var position = 0

    public init(_ journal: PowerLossJournal, mutation: Mutation = .none) {
        self.journal = journal
        self.mutation = mutation
    }

    /// Plays the journal on, up to and without record `cut`, which is not before the last one.
    public mutating func play(to cut: Int) {
        for record in journal.records[position..<cut] { play(record, mutation) }
        position = cut
    }

    private mutating func play(_ record: PowerLossJournal.Record, _ mutation: Mutation) {
        switch record {
        case .open(let descriptor, let path, let isNew):
            if isNew { add(.file(File()), at: path) }
            descriptors[descriptor] = names[path]!  // opened, so it is there: everything under the root is recorded from the start
        case .close(let descriptor): descriptors[descriptor] = nil
        case .write(let descriptor, let offset, let bytes): change(descriptor, .write(offset: offset, bytes: bytes))
        case .truncate(let descriptor, let size): change(descriptor, .truncate(size: size))
        case .sync(let descriptor): sync(descriptors[descriptor]!, mutation)  // an open file
        case .rename(let from, let to):
            let node = names.removeValue(forKey: from)!  // renamed, so it was there
            names[to] = node
            changeDirectory(of: to, .rename(leaf(from), leaf(to), node))
        case .remove(let path):
            names[path] = nil
            changeDirectory(of: path, .remove(leaf(path)))
        case .makeDirectory(let path): add(.directory(Directory()), at: path)
        case .mark: break
        }
    }

    private mutating func add(_ node: Node, at path: String) {
        guard !path.isEmpty else { return }  // the root itself is taken for durable
        nodes.append(node)
        names[path] = nodes.count - 1
        changeDirectory(of: path, .set(leaf(path), nodes.count - 1))
    }

    private mutating func change(_ descriptor: Int, _ change: File.Change) {
        let index = descriptors[descriptor]!  // an open file
        guard case .file(var file) = nodes[index] else { preconditionFailure("a directory is not written") }
        nodes[index] = .directory(Directory())  // so that the array below is not copied
        file.pending.append(change)
        nodes[index] = .file(file)
    }

    private mutating func changeDirectory(of path: String, _ change: Directory.Change) {
        let index = names[parent(path)]!  // it holds the path
        guard case .directory(var directory) = nodes[index] else { preconditionFailure("a file has no entries") }
        directory.pending.append(change)
        nodes[index] = .directory(directory)
    }

    private mutating func sync(_ index: Int, _ mutation: Mutation) {
        switch nodes[index] {
        case .file(var file):
            guard mutation != .withoutFileSyncs else { return }
            file.durable = file.survivor { _ in true }
            file.pending = []
            nodes[index] = .file(file)
        case .directory(var directory):
            guard mutation != .withoutDirectorySyncs else { return }
            directory.durable = directory.survivor { true }
            directory.pending = []
            nodes[index] = .directory(directory)
        }
    }

    /// Writes a state that the disk may hold into the empty directory `path`.
    public func materialise(at path: String, using random: inout some RandomNumberGenerator) { materialise(0, at: path, &random) }

    private func materialise(_ index: Int, at path: String, _ random: inout some RandomNumberGenerator) {
        switch nodes[index] {
        case .file(let file): writeFile(path, file.afterLoss(&random))
        case .directory(let directory):
            mkdir(path, 0o755)
            let share = Double.random(in: 0...1, using: &random)
            let entries = directory.survivor { Double.random(in: 0...1, using: &random) < share }
            for (name, node) in entries.sorted(by: { $0.key < $1.key }) { materialise(node, at: path + "/" + name, &random) }
        }
    }

    private func parent(_ path: String) -> String { path.split(separator: "/").dropLast().joined(separator: "/") }
    private func leaf(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }
}

/// What a disk writes as a whole.
private let sector = 512

extension PowerLossState.File {
    /// The bytes after those changes, and those sectors of a write, that `keeps` is true for.
    func survivor(_ keeps: (Int) -> Bool) -> [UInt8] {
        var bytes = durable
        for change in pending {
            switch change {
            case .truncate(let size):
                guard keeps(0) else { continue }
                bytes = Array(bytes.prefix(size))
                if bytes.count < size { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
            case .write(let offset, let new):
                var start = 0
                while start < new.count {
                    let end = min(new.count, start + sector - (offset + start) % sector)
                    if keeps(start) {
                        if bytes.count < offset + end { bytes += [UInt8](repeating: 0, count: offset + end - bytes.count) }
                        // Neither is empty, so both have a base.
                        bytes.withUnsafeMutableBytes { target in
                            new.withUnsafeBytes { source in
                                _ = memcpy(target.baseAddress! + offset + start, source.baseAddress! + start, end - start)
                            }
                        }
                    }
                    start = end
                }
            }
        }
        return bytes
    }

    /// Nothing of what is pending, all of it, or any part.
    func afterLoss(_ random: inout some RandomNumberGenerator) -> [UInt8] {
        guard !pending.isEmpty else { return durable }
        let share = [0, 1, 0.5, 0.9, 0.1].randomElement(using: &random)!  // not empty
        return survivor { _ in Double.random(in: 0..<1, using: &random) < share }
    }
}

extension PowerLossState.Directory {
    func survivor(_ keeps: () -> Bool) -> [String: Int] {
        var entries = durable
        for change in pending where keeps() {
            switch change {
            case .set(let name, let node): entries[name] = node
            case .remove(let name): entries[name] = nil
            case .rename(let from, let to, let node):
                entries[from] = nil
                entries[to] = node
            }
        }
        return entries
    }
}

private func writeFile(_ path: String, _ bytes: [UInt8]) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    precondition(descriptor >= 0, "cannot create \(path)")
    defer { close(descriptor) }
    bytes.withUnsafeBytes { bytes in
        var written = 0
        while written < bytes.count {
            let count = write(descriptor, bytes.baseAddress! + written, bytes.count - written)  // not empty here
            precondition(count > 0, "cannot write \(path)")
            written += count
        }
    }
}
