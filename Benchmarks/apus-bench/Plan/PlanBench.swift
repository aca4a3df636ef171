import ApusGraphQL
import ApusQueryPlan
import ApusSchemas
import ApusTypes

/// From an operation's text to SQL, and from rows to the reply's JSON: planned afresh, found in the cache and bound, rows written. No database:
/// the rows lie in memory as a driver's receive buffer has them. One thread.
enum PlanBench {
    private static let rounds = 7

    private struct Case {
        var name: String
        var text: String
        var variables: JSONObject
        /// By the columns of the plan's statement.
        var rows: [[String?]]
    }

    private static let cases = [
        Case(
            name: "by-pk", text: "query($id: Int!) { orders_by_pk(id: $id) { id customer_id placed status total note } }",
            variables: ["id": 4711], rows: [order(4711)]),
        Case(
            name: "list 100 x 6",
            text: """
                query($customer: Int!, $limit: Int!) {
                  orders(filter: {customer_id: {eq: $customer}}, order_by: [{field: "id"}], limit: $limit) {
                    id customer_id placed status total note
                  }
                }
                """,
            variables: ["customer": 17, "limit": 100], rows: (0..<100).map(order)),
        Case(
            name: "nested 20 x 5 x 1",
            text: """
                query($customer: Int!) {
                  orders(filter: {customer_id: {eq: $customer}}, order_by: [{field: "id"}], limit: 20) {
                    id placed total
                    lines { id quantity product { id name price } }
                  }
                }
                """,
            variables: ["customer": 17],
            rows: (0..<100).map { line in
                let order = String(line / 5 + 1000)
                return [
                    order, "2026-03-15 09:30:00.25+00", "149.90", String(line), "3", String(line % 7), "a product of the shop", "29.95",
                    order,
                ]
            }),
    ]

    private static func order(_ number: Int) -> [String?] {
        [
            String(number), "17", "2026-03-15 09:30:00.25+00", "delivered", "149.90",
            number % 3 == 0 ? nil : "left with the neighbour, 2nd floor",
        ]
    }

    /// What each round measures, in microseconds.
    private struct Round {
        var planned = 0.0
        var cached = 0.0
        var written = 0.0
    }

    static func run() async throws {
        var report = BenchReport("plan")
        let api = try QueryShop.api()
        report.row(["µs: min, median, max", "reply, bytes", "planned", "", "", "cached, bound", "", "", "rows to reply", "", ""])
        for test in cases {
            progress(test.name)
            var own: [Round] = []
            let bytes = try await reply(to: test, try plan(test, api)).count
            for _ in 0..<BenchOptions.rounds(rounds) { own.append(try await measure(test, api)) }
            let key = test.name.replacing(" ", with: "_")
            report.figure("\(key)_planned_us", own.map(\.planned))
            report.figure("\(key)_cached_us", own.map(\.cached))
            report.figure("\(key)_written_us", own.map(\.written))
            report.row([test.name, String(bytes)] + cells(own.map(\.planned)) + cells(own.map(\.cached)) + cells(own.map(\.written)))
        }
        try report.finish()
    }

    private static func cells(_ values: [Double]) -> [String] {
        let spread = Spread(values)
        return [spread.min, spread.median, spread.max].map(BenchReport.short)
    }

    private static func plan(_ test: Case, _ api: DataAPI) throws -> OperationPlan {
        let operation = try QueryShop.prepared(test.text, api)
        return try QueryPlanner(api).plan(operation, variables: try operation.variables(from: test.variables))
    }

    private static func reply(to test: Case, _ plan: OperationPlan) async throws -> [UInt8] {
        try await withCells(of: test.rows) { rows in
            try await PlanRunner(plan).reply { calls in for row in rows { calls[0].rows.add(row) } }.data
        }
    }

    private static func measure(_ test: Case, _ api: DataAPI) async throws -> Round {
        let operation = try QueryShop.prepared(test.text, api)
        let variables = try operation.variables(from: test.variables)
        let planner = QueryPlanner(api)
        let plan = try planner.plan(operation, variables: variables)
        var cache = PlanCache(capacity: 1 << 20)
        let text = Array(test.text.utf8)
        let times = 20_000 / test.rows.count + 1000
        var round = Round()
        round.planned = try time(repeating: 500) { _ = try planner.plan(operation, variables: variables) }
        round.cached = try time(repeating: times) {
            let key = PlanCache.Key(text: text, scope: .init(schema: 1, permissions: 1, role: "reader"))
            let found = try cache.plan(key, variables: test.variables, identity: planner.identity, planner: planner) { operation }
            guard found.statements.count == 1 else { throw ApusError(.usage, "the benchmark's own operation has several statements") }
        }
        round.written = try await withCells(of: test.rows) { rows in
            let start = ContinuousClock.now
            for _ in 0..<times {
                _ = try await PlanRunner(plan).reply { calls in for row in rows { calls[0].rows.add(row) } }
            }
            return (ContinuousClock.now - start) / .microseconds(1) / Double(times)
        }
        return round
    }

    /// Rows as a driver has them: all texts in one buffer, and where each column is.
    private static func withCells<Value>(
        of rows: [[String?]], _ body: ([UnsafeBufferPointer<RowCell>]) async throws -> Value
    ) async throws -> Value {
        let texts = rows.flatMap { $0 }.map { $0.map { Array($0.utf8) } }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: texts.reduce(1) { $0 + ($1?.count ?? 0) }, alignment: 1)
        let cells = UnsafeMutableBufferPointer<RowCell>.allocate(capacity: texts.count)
        defer {
            memory.deallocate()
            cells.deallocate()
        }
        var offset = 0
        for (index, text) in texts.enumerated() {
            cells.initializeElement(at: index, to: text.map { RowCell(memory + offset, count: $0.count) } ?? .null)
            for byte in text ?? [] {
                memory.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
                offset += 1
            }
        }
        let width = rows[0].count
        return try await body(
            rows.indices.map { UnsafeBufferPointer(rebasing: UnsafeBufferPointer(cells)[($0 * width)..<(($0 + 1) * width)]) })
    }

    /// Microseconds of one, on average.
    private static func time(repeating times: Int, _ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        for _ in 0..<times { try body() }
        return (ContinuousClock.now - start) / .microseconds(1) / Double(times)
    }
}
