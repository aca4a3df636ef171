internal import CNanoarrow

/// Writes a table in Arrow's IPC stream format, batch by batch: `schema`, then each `takeBatch()`, then `end`. Any number of batches may
/// follow a schema, and each has its own memory, which is given back with it.
///
/// Used by one task at a time.
public final class ArrowTable {
    private var schemaNode = ArrowSchema()
    private var batch = ArrowArray()
    private var view = ArrowArrayView()

    /// What a batch was asked to hold cannot be written: memory is short, or a column has more than 2 GB.
    public struct Failure: Error {
        public init() {}
    }

    /// Ends a stream.
    public static let end: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]

    public init(_ fields: [ArrowField], metadata: [(key: String, value: String)] = []) throws {
        ArrowSchemaInit(&schemaNode)
        try Self.set(.structure(fields), &schemaNode)
        try Self.set(metadata, &schemaNode)
        try Self.check(ArrowArrayViewInitFromSchema(&view, &schemaNode, nil))
        try begin()
    }

    deinit {
        if let release = schemaNode.release { release(&schemaNode) }
        if let release = batch.release { release(&batch) }
        ArrowArrayViewReset(&view)
    }

    private static func check(_ status: Int32) throws { if status != 0 { throw Failure() } }

    // MARK: Schema

    private static func set(_ type: ArrowType, _ node: inout ArrowSchema) throws {
        func simple(_ type: ArrowType.Simple) throws { try check(ArrowSchemaSetType(&node, type)) }
        switch type {
        case .boolean: try simple(NANOARROW_TYPE_BOOL)
        case .int32: try simple(NANOARROW_TYPE_INT32)
        case .int64: try simple(NANOARROW_TYPE_INT64)
        case .double: try simple(NANOARROW_TYPE_DOUBLE)
        case .text: try simple(NANOARROW_TYPE_STRING)
        case .binary: try simple(NANOARROW_TYPE_BINARY)
        case .date: try simple(NANOARROW_TYPE_DATE32)
        case .time: try check(ArrowSchemaSetTypeDateTime(&node, NANOARROW_TYPE_TIME64, NANOARROW_TIME_UNIT_MICRO, nil))
        case .timestamp(let zone):
            try check(ArrowSchemaSetTypeDateTime(&node, NANOARROW_TYPE_TIMESTAMP, NANOARROW_TIME_UNIT_MICRO, zone ?? ""))
        case .interval: try simple(NANOARROW_TYPE_INTERVAL_MONTH_DAY_NANO)
        case .list(let element):
            try simple(NANOARROW_TYPE_LIST)
            try set(element, &node.children[0]!.pointee)  // a list has one child
        case .structure(let fields):
            try check(ArrowSchemaSetTypeStruct(&node, Int64(fields.count)))
            for (index, field) in fields.enumerated() {
                let child = node.children[index]!  // as many as there are fields
                try set(field.type, &child.pointee)
                try check(ArrowSchemaSetName(child, field.name))
                if let told = field.extension {
                    let metadata = [("ARROW:extension:name", told.name), ("ARROW:extension:metadata", told.metadata)]
                    try set(metadata, &child.pointee)
                }
            }
        }
    }

    private static func set(_ metadata: [(key: String, value: String)], _ node: inout ArrowSchema) throws {
        guard !metadata.isEmpty else { return }
        var buffer = ArrowBuffer()
        try check(ArrowMetadataBuilderInit(&buffer, nil))
        defer { ArrowBufferReset(&buffer) }
        for (key, value) in metadata {
            let status = key.withCString { key in
                value.withCString { ArrowMetadataBuilderAppend(&buffer, ArrowCharView(key), ArrowCharView($0)) }
            }
            try check(status)
        }
        try buffer.data.withMemoryRebound(to: CChar.self, capacity: Int(buffer.size_bytes)) {
            try check(ArrowSchemaSetMetadata(&node, $0))
        }
    }

    // MARK: Batches

    private func begin() throws {
        try Self.check(ArrowArrayInitFromSchema(&batch, &schemaNode, nil))
        try Self.check(ArrowArrayStartAppending(&batch))
    }

    /// Calls `body` with the batch that is being built: a structure of the table's columns, each row of which ends with `finishElement`.
    public func withBatch<Value>(_ body: (ArrowColumn) throws -> Value) rethrows -> Value {
        try withUnsafeMutablePointer(to: &batch) { try body(ArrowColumn(array: $0)) }
    }

    /// The message that comes first.
    public func schema() throws -> [UInt8] {
        try Self.written { writer in ArrowIpcWriterWriteSchema(&writer, &schemaNode, nil) }
    }

    /// The message of the rows so far; then the next batch begins.
    public func takeBatch() throws -> [UInt8] {
        try Self.check(ArrowArrayFinishBuildingDefault(&batch, nil))
        try Self.check(ArrowArrayViewSetArray(&view, &batch, nil))
        let bytes = try Self.written { writer in ArrowIpcWriterWriteArrayView(&writer, &view, nil) }
        if let release = batch.release { release(&batch) }
        try begin()
        return bytes
    }

    /// What `body` writes.
    private static func written(_ body: (inout ArrowIpcWriter) -> Int32) throws -> [UInt8] {
        var output = ArrowBuffer()
        ArrowBufferInit(&output)
        defer { ArrowBufferReset(&output) }
        try withUnsafeMutablePointer(to: &output) { output in
            var stream = ArrowIpcOutputStream()
            try check(ArrowIpcOutputStreamInitBuffer(&stream, output))
            var writer = ArrowIpcWriter()
            try check(ArrowIpcWriterInit(&writer, &stream))
            defer { ArrowIpcWriterReset(&writer) }
            try check(body(&writer))
        }
        return Array(UnsafeBufferPointer(start: output.data, count: Int(output.size_bytes)))
    }
}

extension ArrowType {
    fileprivate typealias Simple = CNanoarrow.ArrowType
}
