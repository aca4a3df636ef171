internal import Glibc

/// The sizes of the laws: short for `make test`, in full for `make laws` (`APUS_LAWS=full`).
public enum LawSize {
    public static let isFull = getenv("APUS_LAWS").map { String(cString: $0) } == "full"

    public static func scaled(_ short: Int, full: Int) -> Int { isFull ? full : short }
}
