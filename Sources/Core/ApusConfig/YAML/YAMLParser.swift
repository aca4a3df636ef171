internal import CYAML

/// Reads one YAML document into a tree, through libyaml's events.
///
/// Configuration needs little of YAML, and each thing left out is one that surprises: anchors and aliases (a few lines of them expand
/// to gigabytes), explicit tags, several documents, keys that are not text, and duplicate keys (YAML forbids them, most parsers take
/// the last one silently) are refused with the line they stand on.
public struct YAMLParser: Sendable {
    public struct Limits: Sendable {
        public var bytes = 1 << 20
        public var depth = 32
        public var nodes = 100_000

        public init() {}
    }

    public struct Failure: Error, Hashable {
        public var mark: YAMLMark
        public var reason: String
    }

    let limits: Limits

    public init(limits: Limits = Limits()) { self.limits = limits }

    /// The root of the only document, nil when there is none (an empty file, or only comments).
    public func parse(_ bytes: [UInt8]) throws(Failure) -> YAMLNode? {
        guard bytes.count <= limits.bytes else {
            throw Failure(mark: YAMLMark(line: 1, column: 1), reason: "the file is larger than \(limits.bytes) bytes")
        }
        // libyaml keeps a pointer to its input until it is deleted, so parsing happens inside.
        let result: Result<YAMLNode?, Failure> = bytes.withUnsafeBufferPointer { input in
            var events = YAMLEvents(input, limits: limits)
            defer { events.close() }
            do throws(Failure) { return .success(try events.document()) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

/// The recursive descent over libyaml's events. Owns the parser; `close()` must be called once.
private struct YAMLEvents {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let limits: YAMLParser.Limits
    private var nodes = 0

    init(_ input: UnsafeBufferPointer<UInt8>, limits: YAMLParser.Limits) {
        self.limits = limits
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        precondition(yaml_parser_initialize(parser) == 1, "out of memory")
        yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    func close() {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    mutating func document() throws(YAMLParser.Failure) -> YAMLNode? {
        guard case .streamStart = try next().kind else { throw failure("unexpected start") }
        let start = try next()
        if case .streamEnd = start.kind { return nil }
        let root = try node(try next(), depth: 0)
        _ = try next()  // document end
        let end = try next()
        guard case .streamEnd = end.kind else {
            throw YAMLParser.Failure(mark: end.mark, reason: "a second document starts here; a configuration is one document")
        }
        return root
    }

    private mutating func node(_ event: Event, depth: Int) throws(YAMLParser.Failure) -> YAMLNode {
        nodes += 1
        guard nodes <= limits.nodes else { throw YAMLParser.Failure(mark: event.mark, reason: "more than \(limits.nodes) values") }
        guard depth <= limits.depth else {
            throw YAMLParser.Failure(mark: event.mark, reason: "nested deeper than \(limits.depth) levels")
        }
        switch event.kind {
        case .scalar(let scalar):
            return YAMLNode(.scalar(scalar), mark: event.mark)
        case .sequenceStart:
            var items: [YAMLNode] = []
            while true {
                let item = try next()
                if case .collectionEnd = item.kind { return YAMLNode(.sequence(items), mark: event.mark) }
                items.append(try node(item, depth: depth + 1))
            }
        case .mappingStart:
            var entries: [YAMLEntry] = []
            var lines: [String: Int] = [:]
            while true {
                let key = try next()
                if case .collectionEnd = key.kind { return YAMLNode(.mapping(entries), mark: event.mark) }
                guard case .scalar(let name) = key.kind else {
                    throw YAMLParser.Failure(mark: key.mark, reason: "a key must be text")
                }
                if let line = lines.updateValue(key.mark.line, forKey: name.text) {
                    throw YAMLParser.Failure(mark: key.mark, reason: "the key '\(name.text)' is already in line \(line)")
                }
                entries.append(YAMLEntry(name.text, mark: key.mark, try node(try next(), depth: depth + 1)))
            }
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .collectionEnd:
            throw YAMLParser.Failure(mark: event.mark, reason: "a value is missing here")
        }
    }

    /// What libyaml said, copied out of its memory.
    private struct Event {
        enum Kind {
            case streamStart, streamEnd, documentStart, documentEnd
            case scalar(YAMLScalar)
            case sequenceStart, mappingStart, collectionEnd
        }

        var kind: Kind
        var mark: YAMLMark
    }

    private func next() throws(YAMLParser.Failure) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxError() }
        defer { yaml_event_delete(&event) }
        let mark = YAMLMark(line: Int(event.start_mark.line) + 1, column: Int(event.start_mark.column) + 1)
        func refuse(anchor: UnsafeMutablePointer<yaml_char_t>?, tag: UnsafeMutablePointer<yaml_char_t>?) throws(YAMLParser.Failure) {
            if anchor != nil { throw YAMLParser.Failure(mark: mark, reason: "anchors are not supported; write the value out") }
            if tag != nil { throw YAMLParser.Failure(mark: mark, reason: "tags are not supported; quote a value to make it text") }
        }
        switch event.type {
        case YAML_STREAM_START_EVENT: return Event(kind: .streamStart, mark: mark)
        case YAML_STREAM_END_EVENT: return Event(kind: .streamEnd, mark: mark)
        case YAML_DOCUMENT_START_EVENT: return Event(kind: .documentStart, mark: mark)
        case YAML_DOCUMENT_END_EVENT: return Event(kind: .documentEnd, mark: mark)
        case YAML_SEQUENCE_START_EVENT:
            let data = event.data.sequence_start
            try refuse(anchor: data.anchor, tag: data.tag)
            return Event(kind: .sequenceStart, mark: mark)
        case YAML_MAPPING_START_EVENT:
            let data = event.data.mapping_start
            try refuse(anchor: data.anchor, tag: data.tag)
            return Event(kind: .mappingStart, mark: mark)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return Event(kind: .collectionEnd, mark: mark)
        case YAML_SCALAR_EVENT:
            let data = event.data.scalar
            try refuse(anchor: data.anchor, tag: data.tag)
            let text = String(decoding: UnsafeBufferPointer(start: data.value, count: data.length), as: UTF8.self)
            let isPlain = data.style == YAML_PLAIN_SCALAR_STYLE
            return Event(kind: .scalar(YAMLScalar(text: text, isPlain: isPlain)), mark: mark)
        case YAML_ALIAS_EVENT:
            throw YAMLParser.Failure(mark: mark, reason: "aliases are not supported; write the value out")
        default:
            throw failure("unexpected event")
        }
    }

    private func syntaxError() -> YAMLParser.Failure {
        let reason = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
        let context = parser.pointee.context.map { String(cString: $0) + ": " } ?? ""
        guard parser.pointee.error != YAML_READER_ERROR else {
            return YAMLParser.Failure(
                mark: YAMLMark(line: Int(parser.pointee.mark.line) + 1, column: Int(parser.pointee.mark.column) + 1),
                reason: "\(reason) (byte \(parser.pointee.problem_offset)); the file must be UTF-8 text")
        }
        let mark = parser.pointee.problem_mark
        return YAMLParser.Failure(mark: YAMLMark(line: Int(mark.line) + 1, column: Int(mark.column) + 1), reason: context + reason)
    }

    private func failure(_ reason: String) -> YAMLParser.Failure { YAMLParser.Failure(mark: .none, reason: reason) }
}
