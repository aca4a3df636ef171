internal import CLinux
internal import Glibc

/// Which file systems keep their files on this machine.
public enum LocalFileSystem {
    /// Whether the open file or directory is on one. A kind that we do not know is taken for remote. Nil, with errno set, where the system
    /// does not tell.
    public static func holds(_ descriptor: Int32) -> Bool? {
        var kind: UInt32 = 0
        return apus_file_system_kind(descriptor, &kind) == 0 ? kinds.contains(kind) : nil
    }

    /// The same for what a path names; nil too where it cannot be opened.
    public static func holds(_ path: String) -> Bool? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return holds(descriptor)
    }

    /// Magic numbers of statfs(2): ext2-4, XFS, Btrfs, tmpfs, ramfs, overlayfs, F2FS, ZFS, bcachefs.
    private static let kinds: Set<UInt32> = [
        0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x8584_58F6, 0x794C_7630, 0xF2F5_2010, 0x2FC1_2FC1, 0xCA45_1A4E,
    ]
}
