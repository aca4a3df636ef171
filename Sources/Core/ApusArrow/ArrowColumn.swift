internal import CNanoarrow

/// A column of the batch that is being built. Valid until the table's next batch begins; used by one task at a time.
///
/// Values are appended in their order: a list's or structure's own values first, then `finishElement`. The Booleans say whether the value
/// was taken: not when it does not fit the type, or the column would hold more than 2 GB of text.
public struct ArrowColumn {
    let array: UnsafeMutablePointer<ArrowArray>

    /// Of a structure by its position, of a list its elements.
    public func child(_ index: Int) -> ArrowColumn {
        guard let child = array.pointee.children?[index] else { preconditionFailure("the column has no such child") }
        return ArrowColumn(array: child)
    }

    public var count: Int { Int(array.pointee.length) }

    @inline(__always)
    public func append(_ value: Int64) -> Bool { ArrowArrayAppendInt(array, value) == 0 }

    @inline(__always)
    public func append(_ value: Double) -> Bool { ArrowArrayAppendDouble(array, value) == 0 }

    /// Of a text or binary column.
    @inline(__always)
    public func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var view = ArrowBufferView()
        view.data.data = bytes.baseAddress
        view.size_bytes = Int64(bytes.count)
        return ArrowArrayAppendBytes(array, view) == 0
    }

    public func append(months: Int32, days: Int32, nanoseconds: Int64) -> Bool {
        var interval = ArrowInterval()
        ArrowIntervalInit(&interval, NANOARROW_TYPE_INTERVAL_MONTH_DAY_NANO)
        interval.months = months
        interval.days = days
        interval.ns = nanoseconds
        return ArrowArrayAppendInterval(array, &interval) == 0
    }

    /// A null; of a structure with something in each of its columns.
    @inline(__always)
    public func appendNull() -> Bool { ArrowArrayAppendNull(array, 1) == 0 }

    /// Ends a list, or a structure whose columns have been given one value each.
    public func finishElement() -> Bool { ArrowArrayFinishElement(array) == 0 }
}
