internal import ApusTypes

/// Some members of payloads.
public enum PayloadMembers {
    /// The object with those of its members that have one of the names.
    public static func picked(_ names: [String], of payload: [UInt8]) -> [UInt8] {
        let wanted = names.map { (Array($0.utf8), JSONValue.string($0).serialized()) }
        var picked: [UInt8] = [UInt8(ascii: "{")]
        payload.withUnsafeBytes { payload in
            PayloadScanner.members(of: payload) { name, value in
                guard let (_, quoted) = wanted.first(where: { $0.0 == name }) else { return }
                if picked.count > 1 { picked.append(UInt8(ascii: ",")) }
                picked += quoted
                picked.append(UInt8(ascii: ":"))
                picked += value
            }
        }
        picked.append(UInt8(ascii: "}"))
        return picked
    }
}
