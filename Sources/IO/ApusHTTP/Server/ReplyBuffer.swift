internal import Glibc

/// Raw memory that a loop's replies are written into, one after the other; it keeps its size. Belongs to one loop.
final class ReplyBuffer {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    func clear() { count = 0 }

    /// Takes back what was appended since the buffer held `count` bytes.
    func cut(to count: Int) { self.count = count }

    func append(_ text: StaticString) { append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)) }

    @inline(__always)
    func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        memcpy(base + count, source, bytes.count)
        count += bytes.count
    }

    func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

    func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Appends a header field's value; false (and nothing appended) when it would break out of its line.
    func append(value text: String) -> Bool {
        let before = count
        append(text)
        for index in before..<count where ASCII.isControl(base[index]) {
            count = before
            return false
        }
        return true
    }

    func append(decimal value: Int) { append(value, radix: 10) }
    func append(hexadecimal value: Int) { append(value, radix: 16) }

    private func append(_ value: Int, radix: Int) {
        reserve(20)
        var rest = value
        var digits = 1
        while rest >= radix {
            rest /= radix
            digits += 1
        }
        rest = value
        for place in stride(from: digits - 1, through: 0, by: -1) {
            let digit = UInt8(rest % radix)
            base[count + place] = digit < 10 ? 48 + digit : 87 + digit
            rest /= radix
        }
        count += digits
    }

    @inline(__always)
    private func reserve(_ extra: Int) { if count + extra > capacity { grow(extra) } }

    private func grow(_ extra: Int) {
        let larger = max(2 * capacity, count + extra)
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        memory.update(from: base, count: count)
        base.deallocate()
        base = memory
        capacity = larger
    }
}
