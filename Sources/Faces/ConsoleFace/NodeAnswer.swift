public import ApusTypes

/// What one node answered to a question that was put to all of them, or why it did not.
public struct NodeAnswer: Sendable {
    public var node: NodeName
    public var result: Result<[UInt8], ApusError>

    public init(node: NodeName, result: Result<[UInt8], ApusError>) {
        self.node = node
        self.result = result
    }
}
