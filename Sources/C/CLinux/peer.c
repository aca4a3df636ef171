#define _GNU_SOURCE
#include "apus_linux.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

// The socket that sends to us from `peer` to `local` is, in its own tables, the one with source `peer` and destination `local`.
struct endpoint {
    int family;
    uint32_t address[4];
    uint16_t port;  // network order
};

static int endpoint_of(const struct sockaddr_storage *from, struct endpoint *to) {
    memset(to, 0, sizeof *to);
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        to->family = AF_INET;
        to->address[0] = in->sin_addr.s_addr;
        to->port = in->sin_port;
        return 0;
    }
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)from;
        to->family = AF_INET6;
        memcpy(to->address, &in->sin6_addr, 16);
        to->port = in->sin6_port;
        return 0;
    }
    errno = EAFNOSUPPORT;
    return -1;
}

static int is_mapped(const struct endpoint *end) {
    return end->family == AF_INET6 && end->address[0] == 0 && end->address[1] == 0 && end->address[2] == htonl(0xffff);
}

static struct endpoint unmapped(const struct endpoint *end) {
    struct endpoint plain = {.family = AF_INET, .port = end->port};
    plain.address[0] = end->address[3];
    return plain;
}

static struct endpoint mapped(const struct endpoint *end) {
    struct endpoint wide = {.family = AF_INET6, .port = end->port};
    wide.address[2] = htonl(0xffff);
    wide.address[3] = end->address[0];
    return wide;
}

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
};

static struct question question(uint16_t flags, int family, uint32_t states) {
    struct question message;
    memset(&message, 0, sizeof message);
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | flags;
    message.request.sdiag_family = (uint8_t)family;
    message.request.sdiag_protocol = IPPROTO_TCP;
    message.request.idiag_states = states;
    return message;
}

// Asks for exactly one socket. 0 when it was found, -1 with errno otherwise.
static int look_up(int netlink, const struct endpoint *source, const struct endpoint *destination, struct apus_peer *peer) {
    struct question message = question(0, source->family, ~0U);
    message.request.id.idiag_sport = source->port;
    message.request.id.idiag_dport = destination->port;
    memcpy(message.request.id.idiag_src, source->address, 16);
    memcpy(message.request.id.idiag_dst, destination->address, 16);
    message.request.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    message.request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (send(netlink, &message, sizeof message, 0) < 0) return -1;

    union {
        struct nlmsghdr header;
        char bytes[8192];
    } reply;
    ssize_t length;
    do length = recv(netlink, &reply, sizeof reply, 0);
    while (length < 0 && errno == EINTR);
    if (length < 0) return -1;
    if (!NLMSG_OK(&reply.header, (unsigned)length)) {
        errno = EBADMSG;
        return -1;
    }
    if (reply.header.nlmsg_type == NLMSG_ERROR) {
        errno = -((struct nlmsgerr *)NLMSG_DATA(&reply.header))->error;
        return -1;
    }
    if (reply.header.nlmsg_type != SOCK_DIAG_BY_FAMILY
        || reply.header.nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) {
        errno = EBADMSG;
        return -1;
    }
    const struct inet_diag_msg *found = NLMSG_DATA(&reply.header);
    // The kernel falls back to a listener on the source port when no connection matches: that is not the peer, whoever owns it.
    // A socket that its process has closed has no inode and no owner any more, and the kernel then says user 0: that is not root.
    size_t width = source->family == AF_INET ? 4 : 16;
    if (found->idiag_inode == 0 || found->id.idiag_sport != source->port
        || found->id.idiag_dport != destination->port || memcmp(found->id.idiag_src, source->address, width) != 0
        || memcmp(found->id.idiag_dst, destination->address, width) != 0) {
        errno = ENOENT;
        return -1;
    }
    peer->uid = found->idiag_uid;
    peer->inode = found->idiag_inode;
    peer->cookie = (uint64_t)found->id.idiag_cookie[1] << 32 | found->id.idiag_cookie[0];
    return 0;
}

static int open_netlink(void) {
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0) return -1;
    // The kernel answers inside send(); the limit is for a kernel that does not.
    struct timeval limit = {.tv_sec = 0, .tv_usec = 100000};
    setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return netlink;
}

int apus_peer_of(int descriptor, struct apus_peer *found) {
    struct sockaddr_storage address;
    struct endpoint local, peer;
    socklen_t length = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0 || endpoint_of(&address, &local) < 0) return -1;
    length = sizeof address;
    if (getpeername(descriptor, (struct sockaddr *)&address, &length) < 0 || endpoint_of(&address, &peer) < 0) return -1;

    int netlink = open_netlink();
    if (netlink < 0) return -1;
    // Our end may be IPv6 with mapped addresses while the peer's is plain IPv4, or the other way round.
    int status = look_up(netlink, &peer, &local, found);
    if (status < 0 && is_mapped(&peer) && is_mapped(&local)) {
        struct endpoint source = unmapped(&peer), destination = unmapped(&local);
        status = look_up(netlink, &source, &destination, found);
    } else if (status < 0 && peer.family == AF_INET) {
        struct endpoint source = mapped(&peer), destination = mapped(&local);
        status = look_up(netlink, &source, &destination, found);
    }
    int problem = errno;
    close(netlink);
    errno = problem;
    return status;
}

// Reads one family's sockets in `states` from the answer to a dump. The number of those that fitted, -1 with errno.
static ssize_t dump(int netlink, int family, uint32_t states, struct apus_tcp_socket *sockets, size_t capacity) {
    struct question message = question(NLM_F_DUMP, family, states);
    if (send(netlink, &message, sizeof message, 0) < 0) return -1;

    size_t count = 0;
    union {
        struct nlmsghdr header;
        char bytes[65536];
    } reply;
    for (;;) {
        ssize_t length = recv(netlink, &reply, sizeof reply, MSG_TRUNC);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return -1;
        if ((size_t)length > sizeof reply) {
            errno = EMSGSIZE;
            return -1;
        }
        unsigned left = (unsigned)length;
        for (struct nlmsghdr *entry = &reply.header; NLMSG_OK(entry, left); entry = NLMSG_NEXT(entry, left)) {
            if (entry->nlmsg_type == NLMSG_DONE) return (ssize_t)count;
            if (entry->nlmsg_type != SOCK_DIAG_BY_FAMILY || entry->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) {
                errno = EBADMSG;
                return -1;
            }
            const struct inet_diag_msg *found = NLMSG_DATA(entry);
            if (found->idiag_inode == 0) continue;  // no process has it any more
            if (count == capacity) {
                errno = ENOBUFS;
                return -1;
            }
            sockets[count++] = (struct apus_tcp_socket){.inode = found->idiag_inode, .port = ntohs(found->id.idiag_sport)};
        }
    }
}

long apus_tcp_sockets(int is_listening, struct apus_tcp_socket *sockets, size_t capacity) {
    // TCP_LISTEN; else all states in which a process holds a connection: not TIME_WAIT, CLOSE or NEW_SYN_RECV.
    uint32_t states = is_listening ? 1u << 10 : ~(1u << 10 | 1u << 6 | 1u << 7 | 1u << 12);
    int netlink = open_netlink();
    if (netlink < 0) return -1;
    ssize_t v4 = dump(netlink, AF_INET, states, sockets, capacity);
    ssize_t v6 = v4 < 0 ? -1 : dump(netlink, AF_INET6, states, sockets + v4, capacity - (size_t)v4);
    int problem = errno;
    close(netlink);
    errno = problem;
    return v6 < 0 ? -1 : v4 + v6;
}
