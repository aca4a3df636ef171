/// Messages to a PostgreSQL server that wait to be sent (https://www.postgresql.org/docs/15/protocol-message-formats.html).
struct FrontendMessages {
    private var bytes: [UInt8] = []
    private var sent = 0

    var isEmpty: Bool { sent == bytes.count }

    /// Gives what waits to `write`, which tells how much it took.
    mutating func send(_ write: (UnsafeRawBufferPointer) -> Int) {
        sent += bytes.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
        if isEmpty {
            bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 16)
            sent = 0
        }
    }

    /// Has the server prepare a text. It finds the types of the parameters out.
    mutating func parse(_ text: String, as name: String) {
        message("P") { bytes in
            Self.append(name, to: &bytes)
            Self.append(text, to: &bytes)
            Self.append(Int16(0), to: &bytes)
        }
    }

    /// Has the server tell the columns of a prepared statement.
    mutating func describe(_ name: String) {
        message("D") { bytes in
            bytes.append(UInt8(ascii: "S"))
            Self.append(name, to: &bytes)
        }
    }

    /// Binds text parameters, nil for NULL, to a prepared statement, as a portal that `execute` reads. `isBinary`: of each column; of none where
    /// all are to be told as text.
    mutating func bind(_ name: String, _ parameters: [[UInt8]?], as portal: String = "", isBinary: [Bool] = []) {
        message("B") { bytes in
            Self.append(portal, to: &bytes)
            Self.append(name, to: &bytes)
            Self.append(Int16(0), to: &bytes)
            Self.append(Int16(truncatingIfNeeded: parameters.count), to: &bytes)
            for parameter in parameters {
                Self.append(Int32(truncatingIfNeeded: parameter?.count ?? -1), to: &bytes)
                if let parameter { bytes += parameter }
            }
            Self.append(Int16(truncatingIfNeeded: isBinary.count), to: &bytes)
            for one in isBinary { Self.append(Int16(one ? 1 : 0), to: &bytes) }
        }
    }

    /// Has the next rows of a portal told, at most so many; 0: all.
    mutating func execute(_ portal: String = "", rows: Int32 = 0) {
        message("E") { bytes in
            Self.append(portal, to: &bytes)
            Self.append(rows, to: &bytes)
        }
    }

    /// Has the server forget a prepared statement.
    mutating func close(_ name: String) {
        message("C") { bytes in
            bytes.append(UInt8(ascii: "S"))
            Self.append(name, to: &bytes)
        }
    }

    /// The end of a transaction, unless one is open: what fails before it does not concern what comes behind it.
    mutating func synchronise() { message("S") { _ in } }

    private mutating func message(_ kind: Unicode.Scalar, _ body: (inout [UInt8]) -> Void) {
        bytes.append(UInt8(ascii: kind))
        let start = bytes.count
        Self.append(Int32(0), to: &bytes)
        body(&bytes)
        withUnsafeBytes(of: Int32(truncatingIfNeeded: bytes.count - start).bigEndian) { length in
            bytes.replaceSubrange(start..<start + 4, with: length)
        }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
    }

    private static func append<Number: FixedWidthInteger>(_ number: Number, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
