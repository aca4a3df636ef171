import ApusGraphQL
import ApusQuery
import ApusSchemas
import Testing

/// Every way in which one source can stand in the way of another: the one at fault is left out, and nothing else.
@Suite("sources that do not fit beside others")
struct MisfitTests {
    struct Source: Sendable {
        var name: String
        var text: String
        var prefix = ""
        var kind = SourceDescription.Kind.database(.postgreSQL)
        var isModule = false

        var input: SchemaCompiler.Input {
            SchemaCompiler.Input(
                SourceDescription(name: name, kind: kind, prefix: prefix, isModule: isModule), files: [SchemaFile(name: name, text: text)])
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var what: String
        var sources: [Source]
        /// Who is left out, and a part of why.
        var left: [String: String]
        /// Whether in the other order the other one is left out.
        var isSymmetric = true
        var testDescription: String { what }
    }

    static func table(_ name: String, _ fields: String = "id: Int! @pk") -> String {
        "type \(name) @table(name: \"\(name)\") { \(fields) }\n"
    }

    static func function(_ name: String, module: String? = nil) -> String {
        let module = module.map { " @module(name: \"\($0)\")" } ?? ""
        return "extend type Function { \(name): Int @function(name: \"\(name)\")\(module) }\n"
    }

    private static let pairs = [
        Case(
            what: "two tables of one name", sources: [.init(name: "a", text: table("t")), .init(name: "b", text: table("t"))],
            left: ["b": #"t is a type of data source "a" already; give one of the sources a prefix"#]),
        Case(
            what: "a table and a struct", sources: [.init(name: "a", text: table("t")), .init(name: "b", text: "type t { x: Int }")],
            left: ["b": #"t is a type of data source "a" already"#]),
        Case(
            what: "two enums", sources: [.init(name: "a", text: "enum e { x }"), .init(name: "b", text: "enum e { y }")],
            left: ["b": #"e is a type of data source "a" already"#]),
        Case(
            what: "two input types",
            sources: [.init(name: "a", text: "input i { x: Int }"), .init(name: "b", text: "input i { y: String }")],
            left: ["b": #"i is a type of data source "a" already"#]),
        Case(
            what: "a table named like another's filter",
            sources: [.init(name: "a", text: table("t")), .init(name: "b", text: table("t_filter"))],
            left: [
                "b": #"the type t_filter is made of t of data source "a" already; rename one of them, or give one of the sources a prefix"#
            ]),
        Case(
            what: "a table whose prefix makes it another's input",
            sources: [.init(name: "a", text: table("t_x")), .init(name: "b", text: table("x_mut_data"), prefix: "t")],
            left: ["b": #"the type t_x_mut_data is made of t_x of data source "a" already"#]),
        Case(
            what: "an aggregation of both",
            sources: [.init(name: "a", text: table("t")), .init(name: "b", text: "enum _t_aggregation { x }")],
            left: ["b": #"the type _t_aggregation is made of t of data source "a" already"#]),
        Case(
            what: "a query field that is another's by key",
            sources: [.init(name: "a", text: table("t")), .init(name: "b", text: table("t_by_pk"))],
            left: ["b": #"the field Query.t_by_pk of t_by_pk is made of t of data source "a" already"#]),
        Case(
            what: "a query field that is another's aggregation",
            sources: [.init(name: "a", text: table("t")), .init(name: "b", text: table("t_aggregation"))],
            left: ["b": #"the field Query.t_aggregation of t_aggregation is made of t of data source "a" already"#]),
        Case(
            what: "a field of ad-hoc joins, in another module",
            sources: [.init(name: "a", text: table("t"), isModule: true), .init(name: "b", text: table("t_aggregation"), isModule: true)],
            left: ["b": #"the field _join.t_aggregation of t_aggregation is made of t of data source "a" already"#]),
        Case(
            what: "a mutation of both",
            sources: [
                .init(name: "a", text: table("t")),
                .init(name: "b", text: table("x") + "type y @table(name: \"y\") @module(name: \"insert_t\") { id: Int! @pk }"),
            ],
            left: ["b": #"the field Mutation.insert_t of module insert_t is made of t of data source "a" already"#]),
        Case(
            what: "a module named like another's table",
            sources: [.init(name: "a", text: table("t")), .init(name: "t", text: table("x"), isModule: true)],
            left: ["t": #"the field Query.t of module t is made of t of data source "a" already"#]),
        Case(
            what: "modules whose types have one name",
            sources: [
                .init(name: "a", text: function("f", module: "m.n")), .init(name: "b", text: function("f", module: "m_n")),
            ],
            left: ["b": #"the type _module_m_n_function of module m_n is made of module m.n of data source "a" already"#]),
        Case(
            what: "two functions",
            sources: [.init(name: "a", text: function("f")), .init(name: "b", text: function("f"))],
            left: ["b": #"function f of module "" is a function of data source "a" already"#]),
        Case(
            what: "a function and a module of functions",
            sources: [.init(name: "a", text: function("m")), .init(name: "b", text: function("f", module: "m"))],
            left: ["b": #"the field Function.m of module m is made of m of data source "a" already"#]),
        Case(
            what: "two extensions that add one field",
            sources: [
                .init(name: "a", text: table("t")),
                .init(name: "x", text: extending("t", "more"), kind: .extension),
                .init(name: "y", text: extending("t", "more"), kind: .extension),
            ],
            left: ["y": #"t.more: the object has a field of this name by data source "x"; choose another"#], isSymmetric: false),
        Case(
            what: "two extensions one of which adds what the other's list makes",
            sources: [
                .init(name: "a", text: table("t")),
                .init(name: "x", text: extending("t", "more"), kind: .extension),
                .init(name: "y", text: extending("t", "more_aggregation"), kind: .extension),
            ],
            left: ["y": #"t.more_aggregation would be there twice, as data source "x" has it"#], isSymmetric: false),
        Case(
            what: "an extension's type, before the other's",
            sources: [
                .init(name: "x", text: "type t { x: Int }", kind: .extension), .init(name: "a", text: table("t")),
            ],
            left: ["a": #"t is a type of data source "x" already"#]),
    ]

    private static func extending(_ type: String, _ field: String, to target: String = "t") -> String {
        """
        extend type \(type) {
          \(field): [\(target)] @join(references_name: "\(target)", source_fields: ["id"], references_fields: ["id"])
        }
        """
    }

    private static let ownFaults = [
        ("a type of the API's own", table("OrderByField"), "the type OrderByField is the API's own; rename OrderByField"),
        ("a made type of the API's own", table("Int"), "Int"),
        ("a scalar of the language", "type String @table(name: \"s\") { id: Int! @pk }", "String"),
        ("a root", "type Query @table(name: \"q\") { id: Int! @pk }", "Query"),
        ("an introspection type", "type __Type @table(name: \"q\") { id: Int! @pk }", "__Type"),
        ("the type of ad-hoc joins", "type _join { x: Int }", "_join"),
        ("a field of the root", table("jq"), "the field Query.jq of jq is the API's own; rename jq, or give the source a prefix"),
        ("functions' own field", table("function") + function("g"), "the field Query.function of function is the API's own"),
        ("two of its own", table("t") + table("t_filter"), "the type t_filter would be there twice, of t and t_filter; rename one of them"),
        ("a key twice", "type t @table(name: \"t\") @unique(fields: [\"id\", \"id\"]) { id: Int! @pk }", "t"),
        (
            "a key named as the primary one",
            "type t @table(name: \"t\") @unique(fields: [\"n\"], query_suffix: \"by_pk\") { id: Int! @pk n: Int }",
            "t_by_pk"
        ),
        ("a column named as a filter's own", table("t", "id: Int! @pk _and: Int"), "t._and is a name of the API's own; rename the field"),
        ("a column named as an aggregation's own", table("t", "id: Int! @pk _rows_count: Int"), "t._rows_count is a name of the API's own"),
        ("a struct's field named as a filter's own", "type s { _not: Int }", "the field s_filter._not would be there twice, of s"),
        ("a column of a type of the dialect's", table("t", "id: Int! @pk k: FilterOperator"), "FilterOperator is no type of data"),
        ("a column of a root", table("t", "id: Int! @pk k: Query"), "Query is no type of data"),
        ("a column of a function's result", table("t", "id: Int! @pk k: OperationResult"), "its API would be no schema"),
        ("an interface", "interface t { id: Int }", "a data source's schema has object types, input types and enums"),
        ("a directive", "directive @mine on OBJECT", "mine: a data source's schema has object types"),
        ("a directive that is not there", "type t @mine @table(name: \"t\") { id: Int! @pk }", "@mine"),
        ("a table that is not there", table("t", "id: Int! @pk x: Int @field_references(references_name: \"gone\")"), "leads to \"gone\""),
        (
            "a function that is not there", table("t", "id: Int! @pk x: Int @function_call(references_name: \"gone\")"),
            "no function \"gone\""
        ),
        ("a syntax error", "type t {", "Syntax Error"),
        ("another's type", "extend type good { more: Int }", "it belongs to data source \"first\""),
    ]

    private static func check(_ sources: [Source], left: [String: String]) {
        let output = SchemaCompiler().compile(sources.map(\.input))
        #expect(Set(output.suspended.keys) == Set(left.keys), "\(output.suspended)")
        for (name, reason) in left {
            #expect(output.suspended[name]?.contains(reason) == true, "\(output.suspended[name] ?? "nothing")")
            #expect(output.suspended[name]?.hasPrefix("compile catalog \"\(name)\"") == true)
        }
        #expect(output.api.schema.problems().map(\.message) == [])
    }

    @Test("of two that collide the later is left out, says why, and comes back when the other goes", arguments: pairs)
    func collisions(_ given: Case) {
        Self.check(given.sources, left: given.left)
        // Beside any other source, which stays.
        let other = Source(name: "other", text: Self.table("other"))
        Self.check([other] + given.sources, left: given.left)
        Self.check(given.sources + [other], left: given.left)
        if given.isSymmetric {
            let turned = SchemaCompiler().compile(given.sources.reversed().map(\.input))
            #expect(Array(turned.suspended.keys) == [given.sources[0].name], "\(turned.suspended)")
        }
        let compiler = SchemaCompiler()
        _ = compiler.compile(given.sources.map(\.input))
        for name in given.left.keys {
            let alone = compiler.compile(given.sources.filter { $0.name == name || $0.name == "a" && given.sources.count > 2 }.map(\.input))
            #expect(alone.suspended.isEmpty, "\(alone.suspended)")
        }
    }

    @Test("what is wrong by itself is left out wherever it stands, and the others are served", arguments: ownFaults)
    func alone(what: String, text: String, reason: String) {
        let good = Source(name: "first", text: Self.table("good"))
        let last = Source(name: "last", text: Self.table("fine"))
        for sources in [[good, .init(name: "bad", text: text), last], [.init(name: "bad", text: text), good, last]] {
            let isAboutGood = text.contains("extend type good")
            Self.check(sources, left: ["bad": isAboutGood && sources[0].name == "bad" ? "good" : reason])
        }
    }

    @Test("what one source does to another's object is its own fault")
    func additions() {
        let table = Source(name: "a", text: Self.table("t"))
        let lost = Source(
            name: "x",
            text: "extend type t { u: [t] @join(references_name: \"t\", source_fields: [\"gone\"], references_fields: [\"id\"]) }",
            kind: .extension)
        Self.check([table, lost], left: ["x": "gone"])
        Self.check([lost, table], left: ["x": "gone"])
        let own = Source(name: "x", text: Self.extending("t", "id"), kind: .extension)
        Self.check([own, table], left: ["x": "t.id: the object has a field of this name; choose another"])
        let made = Source(name: "x", text: Self.extending("t", "_rows_count"), kind: .extension)
        Self.check([made, table], left: ["x": "t._rows_count is a name of the API's own"])
        // A plain source that refers to the other's table gives that a way back.
        let referring = Source(
            name: "b", text: Self.table("u", "id: Int! @pk t_id: Int @field_references(references_name: \"t\", references_query: \"id\")"))
        Self.check([referring, table], left: ["b": #"t.id would be there twice, as data source "a" has it"#])
        let structure = Source(name: "s", text: "type s { x: Int }")
        let extending = Source(name: "x", text: "extend type s { y: Int }", kind: .extension)
        Self.check([structure, extending], left: ["x": "an extension adds fields to tables and views, and to no other types"])
    }

    @Test("who was left out for one that is left out itself is served")
    func chain() {
        // c stands in b's way as a type, b stands in a's way as a made one: b goes, so c stays.
        let a = Source(name: "a", text: Self.table("t"))
        let b = Source(name: "b", text: Self.table("t_filter") + Self.table("u"))
        let c = Source(name: "c", text: Self.table("u"))
        Self.check([a, b, c], left: ["b": "t_filter"])
        // What misses b's table goes with it.
        let d = Source(
            name: "d", text: Self.table("v", "id: Int! @pk u: Int @field_references(references_name: \"t_filter\", field: \"id\")"))
        Self.check([a, b, c, d], left: ["b": "t_filter", "d": "leads to \"t_filter\", which is no table or view"])
    }

    @Test("columns and arguments for which the language has no word are no one's fault")
    func oddities() {
        let text =
            Self.table("t", "id: Int! @pk true: Int null: String")
            + "input hidden { who: String @arg_default(value: \"[$auth.user_id]\") }\n"
            + "type mine @view(name: \"mine\", sql: \"SELECT 1 AS id WHERE [$who] = 'x'\") @args(name: \"hidden\") { id: Int }\n"
            + "type computed @table(name: \"computed\") { id: Int! @pk @sql(exp: \"1\") }"
        Self.check([.init(name: "a", text: text)], left: [:])
    }
}
