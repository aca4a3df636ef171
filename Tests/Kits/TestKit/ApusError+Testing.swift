#if canImport(Testing)  // benchmarks use this kit too
    public import ApusTypes
    public import Testing

    /// A failed test shows what an error knows, not only its line.
    extension ApusError: CustomTestStringConvertible {
        public var testDescription: String {
            let details = context.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
            let cause = cause.map { "; because: " + (($0 as? ApusError)?.testDescription ?? "\($0)") } ?? ""
            return description + details + cause
        }
    }
#endif
