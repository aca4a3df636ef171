import ApusTypes

/// The checks of graphql-http's audit of servers (`graphql-http` 1.22.4, `src/audits/server.ts`), as data: one request each, and what its
/// answer must be. Their ids are theirs.
struct Audit: Sendable {
    enum Level: String, Sendable { case must = "MUST", should = "SHOULD", may = "MAY" }

    enum Expectation: Sendable {
        case status(ClosedRange<Int>)
        case type(String)
        case errors
        case noErrors
        case noData
        case utf8
        /// Errors as JSON, or a plain 400.
        case errorsOr400
    }

    var id: String
    var level: Level
    var isGet = false
    /// Parameters of a GET.
    var query: [(String, String)] = []
    var type: String? = "application/json"
    var accept: String?
    var body: String?
    var expected: [Expectation]

    static let response = "application/graphql-response+json"
    static let json = "application/json"
    private static let typename = #"{"query":"{ __typename }"}"#
    private static let ok = Expectation.status(200...200)
    private static let bad = Expectation.status(400...400)
    private static let type = "query Type($name: String!) { __type(name: $name) { name } }"

    static let all: [Audit] = media + parameters + failures

    private static let media: [Audit] = [
        Audit(id: "22EB", level: .should, accept: response, body: typename, expected: [ok, .type(response)]),
        Audit(id: "4655", level: .must, accept: json, body: typename, expected: [ok, .type(json)]),
        Audit(id: "47DE", level: .should, accept: "*/*", body: typename, expected: [ok, .type(json)]),
        Audit(id: "80D8", level: .should, isGet: true, query: [("query", "{ __typename }")], expected: [ok, .type(json)]),
        Audit(id: "82A3", level: .must, body: typename, expected: [ok, .utf8]),
        Audit(id: "BF61", level: .must, type: "application/json; charset=utf-8", body: typename, expected: [ok]),
        Audit(id: "78D5", level: .must, body: typename, expected: [ok]),
        Audit(id: "2C94", level: .must, body: typename, expected: [ok]),
        Audit(id: "5A70", level: .may, isGet: true, query: [("query", "{ __typename }")], expected: [ok]),
        Audit(
            id: "9C48", level: .must, isGet: true, query: [("query", "mutation { __typename }")], accept: response,
            expected: [.status(400...499)]),
        Audit(id: "9ABE", level: .should, type: nil, expected: [.status(400...499)]),
        Audit(id: "03D4", level: .must, body: typename, expected: [ok]),
        Audit(id: "7267", level: .must, expected: [.errorsOr400]),
    ]

    /// What a parameter must not be, in the order of the ids.
    private static let noString = [#"{"obj":"ect"}"#, "0", "false", #"["array"]"#]
    private static let noObject = [#""string""#, "0", "false", #"["array"]"#]

    private static var parameters: [Audit] {
        var audits = [
            Audit(id: "6610", level: .should, accept: response, body: #"{"notquery":"{ __typename }"}"#, expected: [bad]),
            Audit(id: "3715", level: .should, accept: json, body: #"{"notquery":"{ __typename }"}"#, expected: [ok, .errors]),
            Audit(id: "34A2", level: .should, accept: response, body: typename, expected: [ok]),
            Audit(id: "13EE", level: .must, accept: json, body: typename, expected: [ok, .noErrors]),
            Audit(
                id: "8161", level: .should, accept: response,
                body: #"{"operationName":"Query","query":"query Query { __typename }"}"#, expected: [ok]),
            Audit(
                id: "B8B3", level: .must, accept: json, body: #"{"operationName":"Query","query":"query Query { __typename }"}"#,
                expected: [ok, .noErrors]),
            Audit(
                id: "2EA1", level: .should, accept: response, body: #"{"query":"\#(type)","variables":{"name":"sometype"}}"#,
                expected: [ok]),
            Audit(
                id: "28B9", level: .must, accept: json, body: #"{"query":"\#(type)","variables":{"name":"sometype"}}"#,
                expected: [ok, .noErrors]),
            Audit(
                id: "D6D5", level: .may, isGet: true, query: [("query", type), ("variables", #"{"name":"sometype"}"#)], accept: response,
                expected: [ok]),
            Audit(
                id: "6A70", level: .may, isGet: true, query: [("query", type), ("variables", #"{"name":"sometype"}"#)], accept: json,
                expected: [ok, .noErrors]),
            Audit(
                id: "428F", level: .should, accept: response, body: #"{"query":"{ __typename }","extensions":{"some":"value"}}"#,
                expected: [ok]),
            Audit(
                id: "1B7A", level: .must, accept: json, body: #"{"query":"{ __typename }","extensions":{"some":"value"}}"#,
                expected: [ok, .noErrors]),
        ]
        func refused(_ ids: (String, String), _ values: [String], _ body: (String) -> String) {
            for (index, value) in values.enumerated() {
                audits.append(Audit(id: "\(ids.0)\(index)", level: .should, accept: response, body: body(value), expected: [bad]))
                audits.append(Audit(id: "\(ids.1)\(index)", level: .should, accept: json, body: body(value), expected: [ok, .errors]))
            }
        }
        refused(("4F5", "9FE"), noString) { #"{"query":\#($0)}"# }
        refused(("E3E", "FB9"), noString) { #"{"operationName":\#($0),"query":"{ __typename }"}"# }
        refused(("69B", "F05"), noObject) { #"{"query":"{ __typename }","variables":\#($0)}"# }
        refused(("904", "368"), noObject) { #"{"query":"{ __typename }","extensions":\#($0)}"# }
        for (index, name) in ["variables", "operationName", "extensions"].enumerated() {
            let body = #"{"query":"{ __typename }","\#(name)":null}"#
            audits.append(Audit(id: "94B\(index)", level: .should, accept: response, body: body, expected: [ok, .noErrors]))
            audits.append(Audit(id: "022\(index)", level: .must, accept: json, body: body, expected: [ok, .noErrors]))
        }
        return audits
    }

    private static let failures: [Audit] = {
        let (noJSON, typo, unfinished) = (#"{ "not a JSON"#, #"{"qeury":"{ __typename }"}"#, #"{"query":"{"}"#)
        let unknown = #"{"query":"{ 8f31403dfe404bccbb0e835f2629c6a7 }"}"#
        func check(_ id: String, _ accept: String, _ body: String, _ expected: Expectation) -> Audit {
            Audit(id: id, level: .should, accept: accept, body: body, expected: [expected])
        }
        return [
            check("D477", json, noJSON, ok), check("F5AF", json, typo, ok), check("572B", json, unfinished, ok),
            check("FDE2", json, unknown, ok),
            check("60AA", response, noJSON, .status(400...499)), check("2163", response, noJSON, bad),
            check("3E36", response, typo, .status(400...599)), check("17C5", response, typo, bad), check("34D6", response, typo, .noData),
            check("865D", response, unfinished, .status(400...599)), check("556A", response, unfinished, bad),
            check("D586", response, unfinished, .noData),
            check("51FE", response, unknown, .status(400...599)), check("74FF", response, unknown, bad),
            check("5E5B", response, unknown, .noData),
        ]
    }()
}
