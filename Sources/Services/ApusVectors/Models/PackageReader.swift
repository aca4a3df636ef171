internal import ApusEmbedding
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// Reads a package's header before anything is stored, then gives all of its bytes again, in order, checked for its size.
///
/// One reader at a time; `head` first.
final class PackageReader: Sendable {
    private let source: @Sendable () async throws -> [UInt8]?
    private let state = Mutex((kept: [[UInt8]](), given: 0, size: 0))

    init(_ source: @escaping @Sendable () async throws -> [UInt8]?) { self.source = source }

    /// Throws `model.invalid` and `object.too_large`. What takes long runs in `pool`.
    func head(in pool: BlockingPool, deadline: Instant) async throws -> ModelPackage {
        var start: [UInt8] = []
        var needed = 8
        var length: Int?
        while start.count < needed {
            guard let piece = try await source() else { throw Safetensors.cutOff("it ends inside its header") }
            state.withLock { $0.kept.append(piece) }
            start += piece
            if length == nil, start.count >= 8 {
                length = try Safetensors.headerLength(start.prefix(8))
                needed = 8 + (length ?? 0)
            }
        }
        let header = Array(start[8..<needed])
        let (package, size) = try await pool.run(deadline: deadline) {
            let tensors = try Safetensors(header: header)
            return (try ModelPackage(tensors), tensors.dataStart + tensors.dataSize)
        }
        guard size <= EmbeddingModels.largest.bytes else {
            throw ApusError(.objectTooLarge, "the model has \(ByteCount(size)); \(EmbeddingModels.largest) is the most")
        }
        state.withLock { $0.size = size }
        return package
    }

    /// The next piece; nil at the end. Throws `model.invalid` if there are fewer or more bytes than the header says.
    func next() async throws -> [UInt8]? {
        let early = state.withLock { $0.kept.isEmpty ? nil : $0.kept.removeFirst() }
        let piece: [UInt8]? = if let early { early } else { try await source() }
        let (given, size) = state.withLock { state in
            state.given += piece?.count ?? 0
            return (state.given, state.size)
        }
        guard given <= size, piece != nil || given == size else {
            throw Safetensors.cutOff("\(given)\(piece == nil ? "" : " and more") bytes came where its header says \(size)")
        }
        return piece
    }
}
