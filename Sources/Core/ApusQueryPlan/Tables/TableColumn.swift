internal import ApusArrow

/// A node of the tree of a table's columns: what of a row goes there. It appends to the batch that is being built.
///
/// Used by one task at a time, as the table is.
final class TableColumn {
    enum Content {
        /// Of the row. `isOuter`: not inside of another column, where times are told as text.
        case value(column: Int, ValueFormat, isOuter: Bool)
        /// The same text in every row.
        case constant([UInt8])
        /// Null where this column of the row is.
        case object(presence: Int?)
        /// The list whose objects come with the following rows.
        case nested
        /// What the batch of this number finds by the key in these columns.
        case batch(Int, key: ArraySlice<Int32>, TableRows)
    }

    let name: String
    let content: Content
    /// Of a value; for every cell the enumeration would be copied.
    private let value: (column: Int, format: ValueFormat, isOuter: Bool)?
    let children: [TableColumn]
    /// Where it stands, for messages.
    let place: String
    /// Whether the list that following rows fill is in it, so that it is finished later.
    let isOpenEnded: Bool
    /// A geometry inside of a column must not be null: readers of GeoJSON in tables fail on that.
    let hasInnerGeometry: Bool
    private(set) var target: ArrowColumn?
    /// Of the rows that come, where it is a value of them.
    private(set) var encoding = CellEncoding.text

    init(_ name: String, _ content: Content, _ children: [TableColumn] = [], place: String) {
        self.name = name
        self.content = content
        value = if case .value(let column, let format, let isOuter) = content { (column, format, isOuter) } else { nil }
        self.children = children
        self.place = place
        switch content {
        case .nested: isOpenEnded = true
        default: isOpenEnded = children.contains(where: \.isOpenEnded)
        }
        if case .value(_, let format, false) = content {
            hasInnerGeometry = format.scalar == .geometry && !format.isList
        } else {
            hasInnerGeometry = children.contains(where: \.hasInnerGeometry)
        }
    }

    // MARK: Type

    var field: ArrowField {
        switch content {
        case .value(_, let format, let isOuter) where format.scalar == .geometry && !format.isList:
            let geometry: (name: String, metadata: String) =
                isOuter ? ("geoarrow.wkb", "{}") : ("hugr.geojson", #"{"srid":\#(format.srid)}"#)
            return ArrowField(name, type(zone: nil), extension: geometry)
        case .value(_, .h3Cell, _): return ArrowField(name, type(zone: nil), extension: ("hugr.h3cell", "{}"))
        default: return ArrowField(name, type(zone: nil))
        }
    }

    func field(zone: String) -> ArrowField {
        var field = field
        field.type = type(zone: zone)
        return field
    }

    func type(zone: String?) -> ArrowType {
        switch content {
        case .value(_, let format, let isOuter):
            let type = Self.type(of: format.scalar, isOuter: isOuter && !format.isList, zone)
            return format.isList ? .list(type) : type
        case .constant: return .text
        case .object: return .structure(children.map { $0.field(zone: zone ?? "UTC") })
        case .nested: return .list(children[0].type(zone: zone))
        case .batch(_, _, let rows):
            let type = rows.item.type(zone: zone)
            return rows.isList ? .list(type) : type
        }
    }

    private static func type(of scalar: ValueFormat.Scalar, isOuter: Bool, _ zone: String?) -> ArrowType {
        switch scalar {
        case .number: .double
        case .integer, .count: .int64
        case .int32: .int32
        case .boolean: .boolean
        case .date where isOuter: .date
        case .time where isOuter: .time
        case .dateTime where isOuter: .timestamp(zone: nil)
        case .timestamp where isOuter: .timestamp(zone: zone ?? "UTC")
        case .interval where isOuter: .interval
        case .geometry where isOuter: .binary
        case .text, .h3Cell, .json, .date, .time, .dateTime, .timestamp, .interval, .geometry: .text
        }
    }

    // MARK: Encodings

    func add(to uses: inout ColumnUses) {
        if case .value(let column, let format, let isOuter) = content { uses.add(.init(format: format, isOuter: isOuter), of: column) }
        for child in children { child.add(to: &uses) }
    }

    func expect(_ encodings: [CellEncoding]) {
        if case .value(let column, _, _) = content { encoding = column < encodings.count ? encodings[column] : .text }
        for child in children { child.expect(encodings) }
    }

    // MARK: Appending

    /// Begins with a new batch.
    func bind(_ column: ArrowColumn) {
        target = column
        switch content {
        case .object: for (index, child) in children.enumerated() { child.bind(column.child(index)) }
        case .nested: children[0].bind(column.child(0))
        case .batch(_, _, let rows): rows.item.bind(rows.isList ? column.child(0) : column)
        case .value, .constant: break
        }
    }

    /// False when the value is none of its type, or has no place in a column.
    func append(_ row: TableRow) throws(TableProblem) {
        guard let target else { return }
        if let value {
            let cell = row.cells[value.column]
            let isTaken =
                if cell.start == nil {
                    appendNull(value.format)
                } else if encoding != .text {
                    encoding.append(cell.bytes, value.format, to: target)
                } else {
                    ColumnValue.append(cell.bytes, value.format, value.isOuter, row.isChecked, to: target)
                }
            if !isTaken { throw TableProblem(.value(place: place, value.format)) }
            return
        }
        switch content {
        case .value, .nested: break
        case .constant(let bytes): if !bytes.withUnsafeBytes({ target.append($0) }) { throw TableProblem(.bytes) }
        case .object(let presence?) where row.cells[presence].start == nil: try appendNothing()
        case .object:
            for child in children { try child.append(row) }
            try finish()
        case .batch(let number, let key, let rows):
            if let batch = row.batches[number], let found = batch.rows(of: key, row.cells) {
                try rows.append(found, of: batch, isChecked: row.isChecked)
                if rows.isList { try finish() }
            } else if rows.isAbsentNull {
                try appendNothing()
            } else {
                try rows.appendOfNothing()
            }
        }
    }

    private func appendNull(_ format: ValueFormat) -> Bool {
        guard let target else { return false }
        if format == .count { return target.append(Int64(0)) }
        return hasInnerGeometry ? target.append(UnsafeRawBufferPointer(start: nil, count: 0)) : target.appendNull()
    }

    /// Null; an object with a geometry in it is one of nulls.
    func appendNothing() throws(TableProblem) {
        guard let target else { return }
        switch content {
        case .value(_, let format, _): if !appendNull(format == .count ? .integer : format) { throw TableProblem(.bytes) }
        case .object where hasInnerGeometry:
            for child in children { try child.appendNothing() }
            try finish()
        default: if !target.appendNull() { throw TableProblem(.bytes) }
        }
    }

    func finish() throws(TableProblem) {
        if target?.finishElement() != true { throw TableProblem(.bytes) }
    }

    /// What is open of an object that was begun: from the outside to the list inside.
    func begin(_ row: TableRow, _ open: inout [TableColumn]) throws(TableProblem) {
        switch content {
        case .object(let presence?) where row.cells[presence].start == nil: try appendNothing()
        case .object:
            open.append(self)
            for child in children { if child.isOpenEnded { try child.begin(row, &open) } else { try child.append(row) } }
        case .nested: open.append(self)
        default: try append(row)
        }
    }
}

/// One row, and what batches found for keys in it.
struct TableRow {
    var cells: UnsafeBufferPointer<RowCell>
    var batches: [FoundRows?]
    /// Whether the database may hold in a column what it wants.
    var isChecked: Bool
}

struct TableProblem: Error {
    var problem: RowAssembler.Problem

    init(_ problem: RowAssembler.Problem) { self.problem = problem }
}
