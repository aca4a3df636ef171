#pragma once
// Linux facts that Swift cannot reach by itself: thread-local storage, function-like macros, variadic calls.
#include <stddef.h>
#include <stdint.h>

/// The event loop that runs on the calling thread, or NULL. Opaque here: ApusRuntime owns the meaning.
void *apus_thread_loop(void);
void apus_thread_set_loop(void *loop);

/// A non-blocking timerfd on CLOCK_BOOTTIME, or -1 with errno.
int apus_timerfd_create_boottime(void);
/// Arms it for an absolute time in nanoseconds since boot.
void apus_timerfd_arm(int descriptor, int64_t deadline);

/// Names the calling thread, as `ps -L` and debuggers show it; cut at 15 bytes.
void apus_thread_set_name(const char *name);

/// openat(2), which is variadic.
int apus_openat(int directory, const char *path, int flags, unsigned mode);
/// Renames inside one directory; fails with EEXIST if `to` exists.
int apus_rename_new(int directory, const char *from, const char *to);
/// The f_type of fstatfs(2), cut to its 32 bits.
int apus_file_system_kind(int descriptor, uint32_t *kind);
struct apus_peer {
    uint32_t uid, inode;
    /// Never given to another socket while the machine runs.
    uint64_t cookie;
};
/// The peer's end of the connected TCP socket, when both ends are on this machine: 0, else -1 with errno.
int apus_peer_of(int descriptor, struct apus_peer *found);

struct apus_tcp_socket {
    uint32_t inode;
    uint16_t port;
};
/// The TCP sockets of this network namespace that listen, or that are connections, with their own ports. The number of them, or -1 with
/// errno (ENOBUFS: there are more than `capacity`).
long apus_tcp_sockets(int is_listening, struct apus_tcp_socket *sockets, size_t capacity);

/// accept4(2), which glibc shows only with _GNU_SOURCE: a non-blocking descriptor that children do not inherit, or -1 with errno.
/// `peer` is a `struct sockaddr`, untyped here: including <sys/socket.h> would make its types this module's.
int apus_accept(int listener, void *peer, uint32_t *length);
/// From here on a listening socket does not answer those who begin to connect, neither yes nor no; a handshake that has begun goes on.
int apus_ignore_new_connections(int listener);

/// memmem(3), which glibc shows only with _GNU_SOURCE.
const void *apus_find(const void *bytes, size_t count, const void *wanted, size_t wanted_count);

/// Whether the kernel's clock is kept synchronised (adjtimex): 1 or 0, -1 when it is not known.
int apus_clock_is_synchronised(void);
