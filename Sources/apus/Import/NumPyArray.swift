internal import ApusTypes
internal import ApusVectorIndex
internal import Glibc

/// A two-dimensional array of float16 or float32 in NumPy's `.npy` format (versions 1 to 3), read row by row.
///
/// Format: "\x93NUMPY", two version bytes, the header's length (two bytes, four from version 2 on, little endian), a Python dictionary
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (rows, columns), }`, then the values.
final class NumPyArray {
    enum Element: String { case float16 = "<f2", float32 = "<f4" }

    let path: String
    let rows: Int
    let columns: Int
    let element: Element
    private let file: FileReader
    private let start: Int

    var rowBytes: Int { columns * (element == .float16 ? 2 : 4) }

    /// Throws `input.unreadable`, or `input.invalid` saying what the file is and what it must be.
    init(path: String) throws(ApusError) {
        self.path = path
        file = try FileReader(path: path)
        let head = try file.read(at: 0, count: 12)
        guard head.count == 12, head.starts(with: [0x93] + Array("NUMPY".utf8)), (1...3).contains(head[6]) else {
            throw ApusError(.inputInvalid, "\(path) is not a .npy file", hint: "numpy.save('points.npy', vectors.astype('float32'))")
        }
        let isFirstVersion = head[6] == 1
        let lengthBytes = head[8..<(isFirstVersion ? 10 : 12)]
        let length = lengthBytes.reversed().reduce(0) { $0 << 8 | Int($1) }
        let offset = isFirstVersion ? 10 : 12
        guard length <= 1 << 20 else { throw ApusError(.inputInvalid, "\(path) has a header of \(length) bytes") }
        let header = String(decoding: try file.read(at: offset, count: length), as: UTF8.self)
        start = offset + length

        guard let descr = Self.value("descr", in: header), let order = Self.value("fortran_order", in: header),
            let shape = Self.value("shape", in: header)
        else { throw ApusError(.inputInvalid, "\(path) has a header that cannot be read") }
        guard let element = Element(rawValue: descr) else {
            throw ApusError(
                .inputInvalid, "\(path) holds '\(descr)'; only float16 ('<f2') and float32 ('<f4') are imported",
                hint: "numpy.save('points.npy', vectors.astype('float32'))")
        }
        let sizes = shape.split(separator: ",").map { Int($0.filter { $0 != " " }) }
        guard sizes.count == 2, let rows = sizes[0], let columns = sizes[1], rows >= 0, columns > 0 else {
            throw ApusError(.inputInvalid, "\(path) has the shape (\(shape)); it must have two dimensions, a row for each point")
        }
        guard order == "False" else {
            throw ApusError(
                .inputInvalid, "\(path) is in Fortran order", hint: "numpy.save('points.npy', numpy.ascontiguousarray(vectors))")
        }
        let (values, overflow) = rows.multipliedReportingOverflow(by: columns)
        let width = element == .float16 ? 2 : 4
        guard !overflow, values <= Int.max / width else { throw ApusError(.inputInvalid, "\(path) has the shape (\(shape))") }
        let expected = start + values * width
        guard file.size == expected else {
            throw ApusError(.inputInvalid, "\(path) has \(file.size) bytes where its header promises \(expected); was it copied whole?")
        }
        self.rows = rows
        self.columns = columns
        self.element = element
    }

    /// Rows `range`, each as `columns` floats, one after the other.
    func floats(rows range: Range<Int>) throws(ApusError) -> [Float] {
        let bytes = try file.read(at: start + range.lowerBound * rowBytes, count: range.count * rowBytes)
        guard bytes.count == range.count * rowBytes else { throw ApusError(.inputUnreadable, "\(path) became shorter while it was read") }
        let count = range.count * columns
        return bytes.withUnsafeBytes { raw in
            switch element {
            case .float16:
                // An array's storage is aligned for both, and every machine that we build for is little endian, as the format is.
                convertHalfFloats(raw.bindMemory(to: UInt16.self))
            case .float32:
                (0..<count).map { Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))) }
            }
        }
    }

    /// The text of one entry of the header's dictionary: what a quoted value or parentheses hold, or a word.
    private static func value(_ name: String, in header: String) -> String? {
        let bytes = Array(header.utf8), key = Array("'\(name)':".utf8)
        guard let at = bytes.indices.first(where: { bytes[$0...].starts(with: key) }) else { return nil }
        let rest = bytes[(at + key.count)...].drop { $0 == UInt8(ascii: " ") }
        guard let first = rest.first else { return nil }
        func text(_ slice: ArraySlice<UInt8>) -> String { String(decoding: slice, as: UTF8.self) }
        switch first {
        case UInt8(ascii: "'"): return text(rest.dropFirst().prefix { $0 != UInt8(ascii: "'") })
        case UInt8(ascii: "("): return text(rest.dropFirst().prefix { $0 != UInt8(ascii: ")") })
        default: return text(rest.prefix { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "}") && $0 != UInt8(ascii: " ") })
        }
    }
}

/// A file that is read at positions. Closed when it goes away.
final class FileReader: Sendable {
    let path: String
    let size: Int
    /// Nanoseconds since 1970; with the size it tells whether a file is still the one that was begun.
    let modified: Int64
    private let descriptor: Int32

    init(path: String) throws(ApusError) {
        self.path = path
        let opened = open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw FileContents.unreadable(path, errno) }
        var facts = stat()
        guard fstat(opened, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            close(opened)
            throw ApusError(.inputUnreadable, "\(path) is not a file")
        }
        descriptor = opened
        size = Int(facts.st_size)
        modified = Int64(facts.st_mtim.tv_sec) * 1_000_000_000 + Int64(facts.st_mtim.tv_nsec)
    }

    deinit { close(descriptor) }

    /// Up to `count` bytes; fewer only at the end of the file.
    func read(at offset: Int, count: Int) throws(ApusError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset + filled))
                if got > 0 {
                    filled += got
                } else if got == 0 {
                    return
                } else if errno != EINTR {
                    failure = errno
                    return
                }
            }
        }
        guard failure == 0 else { throw FileContents.unreadable(path, failure) }
        return bytes
    }
}
