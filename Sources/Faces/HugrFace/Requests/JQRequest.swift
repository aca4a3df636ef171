internal import ApusQuery
internal import ApusTypes

/// A query, and the jq program that makes the answer of its reply. What the request says of caching is read by nobody yet.
struct JQRequest {
    var program: String
    var query: QueryRequest

    init(reading body: [UInt8], deadline: Instant) throws(RequestProblem) {
        let json: JSONValue
        do throws(ApusError) { json = try JSONValue(parsing: body) } catch {
            throw RequestProblem("the body is no JSON: \(error.summary)", isUnreadable: true)
        }
        guard let program = json["jq"]?.asString else { throw RequestProblem("\"jq\" is missing: the program, a text") }
        guard let query = json["query"], query.asObject != nil else {
            throw RequestProblem("\"query\" is missing: an object with \"query\", and perhaps \"variables\" and \"operationName\"")
        }
        self.program = program
        self.query = try QueryRequest(reading: query.serialized(), deadline: deadline)
    }
}
