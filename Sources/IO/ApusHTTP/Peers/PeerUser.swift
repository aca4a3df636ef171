internal import CLinux

/// Which user owns the other end of a TCP connection of this machine.
public enum PeerUser {
    /// The user id behind the peer of the connected socket `descriptor`, as the kernel's socket tables say (sock_diag); nil when
    /// the peer's socket is not on this machine, is gone, or the kernel does not tell.
    ///
    /// One round trip to the kernel, some 10 µs: it does not wait for the peer and may be called on a loop.
    public static func owner(ofPeerOf descriptor: Int32) -> UInt32? {
        var owner: UInt32 = 0
        return apus_peer_uid(descriptor, &owner) == 0 ? owner : nil
    }
}
