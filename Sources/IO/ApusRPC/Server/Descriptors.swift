internal import ApusTypes
internal import CGRPC

/// What server reflection tells: the files that describe the served protocols, by what is asked for.
struct Descriptors: Sendable {
    static let served: Descriptors = {
        let set = UnsafeRawBufferPointer(start: apus_grpc_descriptors, count: apus_grpc_descriptors_size)
        guard let made = try? Descriptors(set) else { preconditionFailure("the descriptors were made by protoc") }
        return made
    }()

    /// Names of services, sorted.
    private(set) var services: [String] = []
    private var files: [String: [UInt8]] = [:]
    /// The files that a file needs, by their names.
    private var imports: [String: [String]] = [:]
    /// The file that declares a message, an enumeration, a service, or one of their parts.
    private var symbols: [String: String] = [:]

    /// `set` is a `google.protobuf.FileDescriptorSet`; field numbers are those of `descriptor.proto`.
    init(_ set: UnsafeRawBufferPointer) throws(ApusError) {
        for field in try set.fields(1) {
            let file = field.bytes
            let name = try file.field(1).string
            files[name] = field.data
            imports[name] = try file.fields(3).map(\.string)
            let package = try file.field(2).string
            for message in try file.fields(4) { try add(message: message.bytes, in: package, of: name) }
            for enumeration in try file.fields(5) { try add(enumeration.bytes, in: package, of: name) }
            for service in try file.fields(6) { services.append(try add(service.bytes, in: package, of: name)) }
        }
        services.sort()
    }

    private mutating func add(message: UnsafeRawBufferPointer, in scope: String, of file: String) throws(ApusError) {
        let name = try add(message, in: scope, of: file)
        for nested in try message.fields(3) { try add(message: nested.bytes, in: name, of: file) }
        for enumeration in try message.fields(4) { try add(enumeration.bytes, in: name, of: file) }
    }

    /// Adds a declaration and its parts: fields, values or methods, which all have the number 2.
    @discardableResult
    private mutating func add(
        _ declaration: UnsafeRawBufferPointer, in scope: String, of file: String
    ) throws(ApusError) -> String {
        let name = scope + "." + (try declaration.field(1).string)
        symbols[name] = file
        for part in try declaration.fields(2) { symbols[name + "." + (try part.bytes.field(1).string)] = file }
        return name
    }

    // MARK: Answers

    /// The `ServerReflectionResponse` to a `ServerReflectionRequest`. None of the files declares an extension.
    func answer(_ request: UnsafeRawBufferPointer) throws(ApusError) -> [UInt8] {
        var response = ProtobufWriter()
        response.string(1, try request.field(1).string)
        response.data(2, Array(request))
        var reader = ProtobufReader(request)
        while let field = try reader.next() {
            switch field.number {
            case 3: write(field.string, to: &response, unknown: "no file")
            case 4: write(symbols[field.string], to: &response, unknown: "no symbol")
            case 5: write(nil, to: &response, unknown: "no extension")
            case 6 where symbols[field.string] != nil: response.message(5) { $0.string(1, field.string) }
            case 6: write(nil, to: &response, unknown: "no type")
            case 7:
                response.message(6) { list in
                    for service in services { list.message(1) { $0.string(1, service) } }
                }
            default: continue
            }
            return response.bytes
        }
        write(nil, to: &response, status: GRPCStatus.invalidArgument, unknown: "nothing was asked")
        return response.bytes
    }

    /// A file with those that it needs, or an error.
    private func write(
        _ name: String?, to response: inout ProtobufWriter, status: Int32 = GRPCStatus.notFound, unknown: String
    ) {
        guard let name, files[name] != nil else {
            return response.message(7) {
                $0.integer(1, status)
                $0.string(2, status == GRPCStatus.notFound ? "\(unknown) of this name is served" : unknown)
            }
        }
        var wanted = [name]
        var next = 0
        while next < wanted.count {
            wanted += (imports[wanted[next]] ?? []).filter { !wanted.contains($0) }
            next += 1
        }
        response.message(4) { list in
            for name in wanted { list.data(1, files[name] ?? []) }
        }
    }
}
