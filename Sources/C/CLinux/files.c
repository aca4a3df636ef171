#define _GNU_SOURCE
#include "apus_linux.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

int apus_openat(int directory, const char *path, int flags, unsigned mode) { return openat(directory, path, flags, mode); }

int apus_rename_new(int directory, const char *from, const char *to) {
    if (renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return -1;
    // NFS and some FUSE file systems cannot refuse by themselves.
    if (faccessat(directory, to, F_OK, 0) == 0) { errno = EEXIST; return -1; }
    if (errno != ENOENT) return -1;
    return renameat(directory, from, directory, to);
}

int apus_file_system_kind(int descriptor, uint32_t *kind) {
    struct statfs about;
    if (fstatfs(descriptor, &about) != 0) return -1;
    *kind = (uint32_t)about.f_type;
    return 0;
}
