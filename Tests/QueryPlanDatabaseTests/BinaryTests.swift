import ApusDatabase
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import TestKit
import Testing

@testable import ApusQueryPlan

/// What PostgreSQL sends in binary is what it writes as text.
@Suite("values in binary")
struct BinaryTests {
    /// Each value's text, and its bytes as the server would send them.
    private func values(_ sql: StaticSQL) async throws -> [(text: [UInt8], bytes: [UInt8])] {
        let pool = try PostgreSQLPool("values", url: try await PostgreSQLServer.shared().newDatabase(), loops: TestLoops.shared)
        defer { pool.close() }
        let result = try await pool.read(TextQuery(sql), deadline: BootClock.now.advanced(by: .seconds(60)))
        return result.texts.map { row in
            let digits = Array((row[1] ?? "").utf8)
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).map {
                UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16) ?? 0
            }
            return (Array((row[0] ?? "").utf8), bytes)
        }
    }

    private func expect<Value: Equatable>(
        _ sql: StaticSQL, atLeast count: Int, _ text: (UnsafeRawBufferPointer) -> Value?, _ binary: (UnsafeRawBufferPointer) -> Value?
    ) async throws {
        let values = try await values(sql)
        #expect(values.count >= count)
        for value in values {
            #expect(
                value.text.withUnsafeBytes(text) == value.bytes.withUnsafeBytes(binary), "\(String(decoding: value.text, as: UTF8.self))")
        }
    }

    @Test("numbers of any length, to the last bit")
    func numeric() async throws {
        try await expect(
            """
            SELECT v::text, encode(numeric_send(v), 'hex') FROM (
              SELECT (sign * i * 10.0 ^ p + f)::numeric AS v FROM (VALUES (1), (-1)) s(sign), (VALUES (0), (1), (9999), (10000), (12345678),
                (9007199254740993), (99999999999999999)) n(i), generate_series(-30, 30, 3) p, (VALUES (0), (0.0001), (0.3), (1234.5678)) g(f)
              UNION ALL SELECT (random() * 10 ^ (i % 20))::numeric(30, 10) FROM generate_series(1, 5000) i
              UNION ALL SELECT unnest(ARRAY['NaN', 'Infinity', '-Infinity', '0.0000', '-0.00010', '14285.71']::numeric[])) x(v)
            """, atLeast: 6000,
            { ColumnText.number($0).map { $0 == 0 ? 0 : $0.bitPattern } }, { CellEncoding.numeric($0).map { $0 == 0 ? 0 : $0.bitPattern } })
    }

    @Test("dates and instants, without those that are infinite")
    func times() async throws {
        try await expect(
            """
            SELECT v::text, encode(date_send(v), 'hex') FROM (
              SELECT '2000-01-01'::date + i * 997 FROM generate_series(-2000, 5000) i
              UNION ALL SELECT unnest(ARRAY['infinity', '-infinity', '4713-01-01 BC', '99999-12-31']::date[])) x(v)
            """, atLeast: 7000, ColumnText.date, CellEncoding.date)
        try await expect(
            """
            SELECT v::text, encode(timestamptz_send(v), 'hex') FROM (
              SELECT '2000-01-01 00:00:00+00'::timestamptz + i * interval '100003.000017 seconds' FROM generate_series(-50000, 50000, 17) i
              UNION ALL SELECT unnest(ARRAY['infinity', '-infinity', '0044-03-15 12:00:00 BC', '294276-12-31 23:59:59.999999']::timestamptz[])
            ) x(v)
            """, atLeast: 5000, ColumnText.instant, CellEncoding.instant)
    }

    @Test("a column is told in binary where all that is made of it is the same, and of its type")
    func choice() {
        var uses = ColumnUses()
        uses.add(.init(format: .number, isOuter: true), of: 0)
        uses.add(.init(format: .integer, isOuter: true), of: 1)
        uses.add(.init(format: .text, isOuter: true), of: 1)
        uses.add(.init(format: .timestamp, isOuter: true), of: 2)
        uses.add(.init(format: .timestamp, isOuter: false), of: 3)
        #expect(uses.encodings(of: [1700, 20, 1184, 1184, 23]) == [.numeric, .text, .instant, .text, .text])
        #expect(uses.encodings(of: [701, 20, 1114]) == [.double, .text, .text], "a time without a zone is no instant")
        #expect(ColumnUses().encodings(of: [1700, 20]) == [.text, .text])
    }
}
