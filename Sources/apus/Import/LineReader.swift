internal import ApusTypes
internal import Glibc

/// The lines of a text file, one after the other, with their numbers. Memory stays at a chunk and the longest line.
struct LineReader {
    struct Line {
        /// Counted from 1.
        var number: Int
        /// Without the line's end (LF or CR LF).
        var bytes: ArraySlice<UInt8>
    }

    static let longestLine = ByteCount.mebibytes(64)

    let file: FileReader
    private var buffer: [UInt8] = []
    /// Where the next line begins in `buffer`.
    private var position = 0
    private var offset = 0
    private var number = 0

    init(path: String) throws(ApusError) { file = try FileReader(path: path) }

    /// Bytes of the lines given so far, of `file.size`.
    var consumed: Int { offset - (buffer.count - position) }

    /// Nil at the end. A last line without an end is a line, an empty one after the last end is not.
    mutating func next() throws(ApusError) -> Line? {
        var searched = position
        while true {
            if let end = Self.newline(in: buffer, from: searched) {
                defer { position = end + 1 }
                return line(position..<end)
            }
            searched = buffer.count
            let more = try file.read(at: offset, count: 1 << 18)
            guard !more.isEmpty else {
                guard position < buffer.count else { return nil }
                defer { position = buffer.count }
                return line(position..<buffer.count)
            }
            offset += more.count
            searched -= position
            buffer.removeSubrange(..<position)
            position = 0
            buffer += more
            guard buffer.count <= Self.longestLine.bytes + more.count else {
                throw ApusError(.inputInvalid, "\(file.path):\(number + 1): the line is longer than \(Self.longestLine)")
            }
        }
    }

    private mutating func line(_ range: Range<Int>) -> Line {
        number += 1
        var range = range
        if range.upperBound > range.lowerBound, buffer[range.upperBound - 1] == UInt8(ascii: "\r") {
            range = range.lowerBound..<(range.upperBound - 1)
        }
        return Line(number: number, bytes: buffer[range])
    }

    private static func newline(in buffer: [UInt8], from start: Int) -> Int? {
        guard start < buffer.count else { return nil }
        return buffer.withUnsafeBytes { raw in
            guard let base = raw.baseAddress, let found = memchr(base + start, Int32(UInt8(ascii: "\n")), raw.count - start) else {
                return nil
            }
            return UnsafeRawPointer(found) - base
        }
    }
}
