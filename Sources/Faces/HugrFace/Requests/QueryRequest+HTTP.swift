internal import ApusHTTP
internal import ApusQuery
internal import ApusTypes

/// Why a request is no GraphQL request.
struct RequestProblem: Error {
    var message: String
    /// Not even JSON.
    var isUnreadable = false

    init(_ message: String, isUnreadable: Bool = false) {
        self.message = message
        self.isUnreadable = isUnreadable
    }
}

extension QueryRequest {
    /// From a body in JSON: `query`, `variables`, `operationName`, `extensions`, and Hugr's `validateOnly` and `noMutation`.
    init(reading body: [UInt8], deadline: Instant) throws(RequestProblem) {
        let document: JSONDocument
        do throws(ApusError) { document = try JSONDocument(parsing: body) } catch {
            throw RequestProblem("the body is no JSON: \(error.summary)", isUnreadable: true)
        }
        guard let members = document.root.members else { throw RequestProblem("the body must be a JSON object") }
        var text: String?
        self.init([], deadline: deadline)
        for (key, value) in members where !value.isNull {
            switch key {
            case "query":
                guard let string = value.string else { throw RequestProblem("\"query\" must be a string") }
                text = string
            case "variables":
                guard let object = value.value.asObject else { throw RequestProblem("\"variables\" must be an object") }
                variables = object
            case "operationName":
                guard let name = value.string else { throw RequestProblem("\"operationName\" must be a string") }
                operationName = name.isEmpty ? nil : name
            case "extensions": if value.kind != .object { throw RequestProblem("\"extensions\" must be an object") }
            case "validateOnly": onlyValidates = value.bool == true
            case "noMutation": if value.bool == true { mutations = .notHere }
            default: break
            }
        }
        guard let text else { throw RequestProblem("\"query\" is missing") }
        self.text = Array(text.utf8)
    }

    /// From the parameters of a GET.
    init(reading query: Query, deadline: Instant) throws(RequestProblem) {
        guard let text = query["query"] else { throw RequestProblem("the parameter \"query\" is missing") }
        self.init(Array(text.utf8), deadline: deadline)
        if let variables = query["variables"], !variables.isEmpty {
            do throws(ApusError) {
                let value = try JSONValue(parsing: Array(variables.utf8))
                self.variables = value.asObject ?? [:]
                guard value.isNull || value.asObject != nil else {
                    throw ApusError(.requestUnparsable, "it must be an object")
                }
            } catch {
                throw RequestProblem("the parameter \"variables\" is no JSON: \(error.summary)", isUnreadable: true)
            }
        }
        operationName = query["operationName"].flatMap { $0.isEmpty ? nil : $0 }
        onlyValidates = query["validate_only"] == "true"
        // A GET changes nothing: caches and crawlers repeat it.
        mutations = .notHere
    }
}
