internal import CLinux

/// The other end of a TCP connection, when it is a socket of this machine too.
public struct PeerSocket: Sendable, Hashable {
    /// The user id that owns it.
    public var user: UInt32
    /// By which a process's open files name it.
    var inode: UInt32
    /// Never given to another socket while the machine runs.
    var cookie: UInt64

    public init(user: UInt32, inode: UInt32 = 0, cookie: UInt64 = 0) {
        self.user = user
        self.inode = inode
        self.cookie = cookie
    }

    /// The peer of the connected socket `descriptor`, as the kernel's socket tables say (sock_diag(7)); nil when the peer's socket is not
    /// on this machine, is gone, or the kernel does not tell.
    ///
    /// One round trip to the kernel, some 10 µs: it does not wait for the peer and may be called on a loop.
    public init?(peerOf descriptor: Int32) {
        var found = apus_peer()
        guard apus_peer_of(descriptor, &found) == 0 else { return nil }
        self.init(user: found.uid, inode: found.inode, cookie: found.cookie)
    }
}
