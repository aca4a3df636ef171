public import ApusTypes

/// A file of named arrays (huggingface/safetensors, format 1): the length of the header as 8 bytes little-endian, the header as JSON, the
/// arrays' bytes. Every number in the header is checked against the file before anything is read by it.
public struct Safetensors: Sendable {
    public static let longestHeader: ByteCount = .mebibytes(16)
    static let mostTensors = 10_000

    public enum Kind: String, Sendable {
        case float32 = "F32"
        case float16 = "F16"
        case bfloat16 = "BF16"
        /// Of no use here; kept so that a file may hold it.
        case other

        var size: Int? {
            switch self {
            case .float32: 4
            case .float16, .bfloat16: 2
            case .other: nil
            }
        }
    }

    public struct Tensor: Sendable {
        public var kind: Kind
        public var shape: [Int]
        /// Within the data, which begins after the header.
        public var range: Range<Int>

        public var count: Int { shape.reduce(1, *) }
    }

    public let tensors: [String: Tensor]
    public let metadata: [String: String]
    /// Bytes before the data.
    public let dataStart: Int
    /// Of the data, as the tensors need it.
    public let dataSize: Int

    /// How long the header is, from a file's first 8 bytes. Throws `model.invalid`.
    public static func headerLength(_ prefix: some Sequence<UInt8>) throws(ApusError) -> Int {
        var length: UInt64 = 0
        var count = 0
        for byte in prefix.prefix(8) {
            length |= UInt64(byte) << UInt64(8 * count)
            count += 1
        }
        guard count == 8, length >= 2, length <= UInt64(longestHeader.bytes) else {
            throw invalid("its header is said to have \(length) bytes; from 2 to \(longestHeader.bytes) are understood")
        }
        return Int(length)
    }

    /// `header`: its JSON. Throws `model.invalid`.
    public init(header: [UInt8]) throws(ApusError) {
        let root: JSONElement
        do { root = try JSONDocument(parsing: header).root } catch { throw Self.invalid("its header is not JSON (\(error.summary))") }
        guard let members = root.members else { throw Self.invalid("its header is no object") }
        var tensors: [String: Tensor] = [:]
        var metadata: [String: String] = [:]
        var size = 0
        for (name, value) in members {
            if name == "__metadata__" {
                guard let entries = value.members else { throw Self.invalid("its metadata is no object") }
                for (key, value) in entries { metadata[key] = value.string }
                continue
            }
            let tensor = try Self.tensor(name, value)
            tensors[name] = tensor
            size = max(size, tensor.range.upperBound)
            guard tensors.count <= Self.mostTensors else { throw Self.invalid("it holds more than \(Self.mostTensors) tensors") }
        }
        self.tensors = tensors
        self.metadata = metadata
        dataStart = 8 + header.count
        dataSize = size
    }

    /// From a whole file. Throws `model.invalid`, also if it is shorter than its tensors.
    public init(file: UnsafeRawBufferPointer) throws(ApusError) {
        let length = try Self.headerLength(file.prefix(8))
        guard file.count >= 8 + length else { throw Self.invalid("it ends inside its header") }
        try self.init(header: Array(file[8..<8 + length]))
        try check(fileSize: file.count)
    }

    /// Throws `model.invalid` for a file that is shorter than its tensors.
    public func check(fileSize: Int) throws(ApusError) {
        guard fileSize >= dataStart + dataSize else {
            throw Self.invalid("it has \(fileSize) bytes, and its tensors need \(dataStart + dataSize): it was cut off")
        }
    }

    private static func tensor(_ name: String, _ value: JSONElement) throws(ApusError) -> Tensor {
        func integers(_ key: String, atMost limit: Int) -> [Int]? {
            guard let elements = value[key]?.elements, value[key]?.count ?? 0 <= limit else { return nil }
            var integers: [Int] = []
            for element in elements {
                guard let number = element.uint.flatMap({ Int(exactly: $0) }) else { return nil }
                integers.append(number)
            }
            return integers
        }
        guard let type = value["dtype"]?.string, let shape = integers("shape", atMost: 8),
            let offsets = integers("data_offsets", atMost: 2),
            offsets.count == 2, offsets[0] <= offsets[1], offsets[1] <= 1 << 40
        else { throw invalid("its header does not say where '\(name.prefix(100))' lies") }
        let kind = Kind(rawValue: type) ?? .other
        var count = 1
        for extent in shape {
            let (product, isTooMuch) = count.multipliedReportingOverflow(by: extent)
            guard !isTooMuch, product <= 1 << 40 else { throw invalid("'\(name.prefix(100))' is too large") }
            count = product
        }
        if let size = kind.size {
            guard offsets[1] - offsets[0] == count * size else {
                throw invalid("'\(name.prefix(100))' has \(offsets[1] - offsets[0]) bytes where its shape needs \(count * size)")
            }
        }
        return Tensor(kind: kind, shape: shape, range: offsets[0]..<offsets[1])
    }

    /// `model.invalid` for a file that was not transferred whole.
    public static func cutOff(_ reason: String) -> ApusError { invalid(reason) }

    static func invalid(_ reason: String) -> ApusError {
        ApusError(.modelInvalid, "the safetensors file is not understood: \(reason)", hint: "fetch it again")
    }
}
