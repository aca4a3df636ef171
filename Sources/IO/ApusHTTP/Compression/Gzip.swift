internal import ApusTypes
internal import CZlib

/// Compresses one body into one gzip member (RFC 1952). One task at a time.
final class Gzip {
    private let stream: UnsafeMutablePointer<z_stream>

    init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // Level 3: on JSON half the time of zlib's default for a tenth more bytes; a loop must not compute for long. 15 + 16 asks for gzip.
        let status = deflateInit2_(stream, 3, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot start: out of memory or built against another version")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    enum Flush {
        /// Keep what is not worth writing yet.
        case no
        /// Everything so far can be read by the other side.
        case all
        /// The member ends.
        case finish
    }

    /// What `bytes` compress to so far.
    func compress(_ bytes: some Collection<UInt8>, _ flush: Flush) -> [UInt8] {
        let mode =
            switch flush {
            case .no: Z_NO_FLUSH
            case .all: Z_SYNC_FLUSH
            case .finish: Z_FINISH
            }
        var input = Array(bytes)
        var output: [UInt8] = []
        input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            repeat {
                let start = output.count
                output.append(contentsOf: repeatElement(0, count: 16_384))
                output.withUnsafeMutableBufferPointer { output in
                    stream.pointee.next_out = output.baseAddress.map { $0 + start }
                    stream.pointee.avail_out = 16_384
                    deflate(stream, mode)
                }
                output.removeLast(Int(stream.pointee.avail_out))
            } while stream.pointee.avail_out == 0
        }
        return output
    }
}
