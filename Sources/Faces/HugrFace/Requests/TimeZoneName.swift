internal import ApusHTTP
internal import Glibc

/// The time zone that a client wants instants told in.
enum TimeZoneName {
    /// Nil when it asks for none, or for one that this machine does not know, which is no error in this API.
    static func asked(by headers: Headers) -> String? {
        guard let name = headers["X-Hugr-Timezone"] ?? headers["Time-Zone"], isKnown(name) else { return nil }
        return name
    }

    private static func isKnown(_ name: String) -> Bool {
        let isPlain = name.utf8.allSatisfy { byte in
            (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || "_-+/".utf8.contains(byte)
        }
        guard isPlain, !name.isEmpty, name.utf8.count <= 64, !name.hasPrefix("/") else { return false }
        if name == "UTC" { return true }
        var about = stat()
        return stat("/usr/share/zoneinfo/" + name, &about) == 0 && about.st_mode & S_IFMT == S_IFREG
    }
}
