@testable import ApusQueryPlan

/// What a database says goes into columns: nothing that it says may do harm, and numbers are those that the standard library reads.
func fuzzColumn(_ input: UnsafeRawBufferPointer) {
    _ = ColumnText.date(input)
    _ = ColumnText.time(input)
    _ = ColumnText.instant(input)
    _ = ColumnText.interval(input)
    _ = ColumnText.boolean(input)
    let text = String(decoding: input, as: UTF8.self)
    if let number = ColumnText.number(input), !number.isNaN, number != Double(text) { fatalError("\(text) is \(number)") }
    if let number = ColumnText.integer(input), number != Int64(text.prefix { $0 != "." }) { fatalError("\(text) is \(number)") }
    if let binary = WellKnownBinary.from(geoJSON: input), binary.count < 9 { fatalError("a geometry of \(binary.count) bytes") }
}
