// One lock is held over each recorded call and its record, so the journal's order is an order in which the calls took effect.
#define _GNU_SOURCE
#include "power_loss_recorder.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { descriptors = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static char root[4096];
static size_t root_length;
/// The path of each open file below the root, relative to it; NULL for others.
static char *paths[descriptors];

#define REAL(name) ((__typeof__(&name))real_##name())
#define DECLARE(name)                                                                      \
    static void *real_##name(void) {                                                       \
        static void *found;                                                                \
        if (!found) found = dlsym(RTLD_NEXT, #name);                                       \
        return found;                                                                      \
    }
DECLARE(openat)
DECLARE(close)
DECLARE(write)
DECLARE(pwrite)
DECLARE(writev)
DECLARE(ftruncate)
DECLARE(fsync)
DECLARE(fdatasync)
DECLARE(renameat2)
DECLARE(unlinkat)
DECLARE(mkdirat)

static void record(char kind, int descriptor, long long offset, const void *data, size_t length) {
    char head[64];
    int count = snprintf(head, sizeof head, "%c %d %lld %zu\n", kind, descriptor, offset, length);
    struct iovec parts[2] = {{head, (size_t)count}, {(void *)data, length}};
    size_t left = (size_t)count + length;
    // A regular file takes a whole record unless the disk is full, and then the journal cannot be trusted.
    if (REAL(writev)(journal, parts, 2) != (ssize_t)left) abort();
}

/// The path relative to the root, "" for the root itself, allocated; NULL if it is elsewhere.
static char *tracked(int directory, const char *path) {
    char full[8192];
    if (journal < 0) return NULL;
    if (path[0] == '/') {
        snprintf(full, sizeof full, "%s", path);
    } else {
        if (directory < 0 || directory >= descriptors || !paths[directory]) return NULL;
        const char *base = paths[directory];
        if (strcmp(path, ".") == 0) return strdup(base);
        snprintf(full, sizeof full, "%s%s%s%s%s", root, base[0] ? "/" : "", base, "/", path);
    }
    if (strncmp(full, root, root_length) != 0) return NULL;
    if (full[root_length] == 0) return strdup("");
    return full[root_length] == '/' ? strdup(full + root_length + 1) : NULL;
}

static int is_tracked(int descriptor) { return descriptor >= 0 && descriptor < descriptors && paths[descriptor]; }

int power_loss_record(const char *directory, const char *path) {
    pthread_mutex_lock(&lock);
    snprintf(root, sizeof root, "%s", directory);
    root_length = strlen(root);
    journal = REAL(openat)(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    pthread_mutex_unlock(&lock);
    return journal < 0 ? -1 : 0;
}

void power_loss_mark(const char *text) {
    pthread_mutex_lock(&lock);
    if (journal >= 0) record('K', -1, 0, text, strlen(text));
    pthread_mutex_unlock(&lock);
}

static int open_recorded(int directory, const char *path, int flags, mode_t mode) {
    if (journal < 0) return REAL(openat)(directory, path, flags, mode);  // nothing to record: a call that hangs hangs alone
    pthread_mutex_lock(&lock);
    char *name = tracked(directory, path);
    int is_new = name && (flags & O_CREAT) && faccessat(directory, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int result = REAL(openat)(directory, path, flags, mode);
    int failure = errno;
    if (name && result >= 0) {
        if (result >= descriptors) abort();
        free(paths[result]);
        paths[result] = name;
        record(is_new ? 'N' : 'O', result, 0, name, strlen(name));
        if (!is_new && (flags & O_TRUNC)) record('T', result, 0, NULL, 0);
    } else {
        free(name);
    }
    pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}

#define MODE(mode, flags)                       \
    mode_t mode = 0;                            \
    if ((flags) & (O_CREAT | O_TMPFILE)) {      \
        va_list arguments;                      \
        va_start(arguments, flags);             \
        mode = va_arg(arguments, mode_t);       \
        va_end(arguments);                      \
    }

int open(const char *path, int flags, ...) { MODE(mode, flags) return open_recorded(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(mode, flags) return open_recorded(AT_FDCWD, path, flags, mode); }
int openat(int directory, const char *path, int flags, ...) { MODE(mode, flags) return open_recorded(directory, path, flags, mode); }
int openat64(int directory, const char *path, int flags, ...) { MODE(mode, flags) return open_recorded(directory, path, flags, mode); }

int close(int descriptor) {
    if (!is_tracked(descriptor)) return REAL(close)(descriptor);
    pthread_mutex_lock(&lock);
    free(paths[descriptor]);
    paths[descriptor] = NULL;
    record('C', descriptor, 0, NULL, 0);
    int result = REAL(close)(descriptor);
    pthread_mutex_unlock(&lock);
    return result;
}

static ssize_t write_recorded(int descriptor, const void *data, size_t length, off_t offset, int is_positioned) {
    pthread_mutex_lock(&lock);
    if (!is_positioned) {
        int flags = fcntl(descriptor, F_GETFL);
        offset = lseek(descriptor, 0, (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
    }
    ssize_t result = is_positioned ? REAL(pwrite)(descriptor, data, length, offset) : REAL(write)(descriptor, data, length);
    int failure = errno;
    if (result > 0) record('W', descriptor, offset, data, (size_t)result);
    pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}

ssize_t write(int descriptor, const void *data, size_t length) {
    if (!is_tracked(descriptor)) return REAL(write)(descriptor, data, length);
    return write_recorded(descriptor, data, length, 0, 0);
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    if (!is_tracked(descriptor)) return REAL(pwrite)(descriptor, data, length, offset);
    return write_recorded(descriptor, data, length, offset, 1);
}
ssize_t pwrite64(int descriptor, const void *data, size_t length, off_t offset) { return pwrite(descriptor, data, length, offset); }

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    if (is_tracked(descriptor)) abort();  // nothing here uses it; if that changes, it must be recorded
    return REAL(writev)(descriptor, parts, count);
}

int ftruncate(int descriptor, off_t length) {
    if (!is_tracked(descriptor)) return REAL(ftruncate)(descriptor, length);
    pthread_mutex_lock(&lock);
    int result = REAL(ftruncate)(descriptor, length);
    int failure = errno;
    if (result == 0) record('T', descriptor, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}
int ftruncate64(int descriptor, off_t length) { return ftruncate(descriptor, length); }

static int sync_recorded(int descriptor) {
    pthread_mutex_lock(&lock);
    // The machine that runs the test need not wait for its disk: what counts is that the call was made.
    record('S', descriptor, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int descriptor) { return is_tracked(descriptor) ? sync_recorded(descriptor) : REAL(fsync)(descriptor); }
int fdatasync(int descriptor) { return is_tracked(descriptor) ? sync_recorded(descriptor) : REAL(fdatasync)(descriptor); }

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    if (journal < 0) return REAL(renameat2)(from_directory, from, to_directory, to, flags);
    pthread_mutex_lock(&lock);
    char *old = tracked(from_directory, from), *new = tracked(to_directory, to);
    int result = REAL(renameat2)(from_directory, from, to_directory, to, flags);
    int failure = errno;
    if (result == 0 && old && new) {
        char both[8192];
        int count = snprintf(both, sizeof both, "%s\n%s", old, new);
        record('R', -1, 0, both, (size_t)count);
    }
    free(old);
    free(new);
    pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}
int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int directory, const char *path, int flags) {
    if (journal < 0) return REAL(unlinkat)(directory, path, flags);
    pthread_mutex_lock(&lock);
    char *name = tracked(directory, path);
    int result = REAL(unlinkat)(directory, path, flags);
    int failure = errno;
    if (result == 0 && name) record('U', -1, 0, name, strlen(name));
    free(name);
    pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int directory, const char *path, mode_t mode) {
    if (journal < 0) return REAL(mkdirat)(directory, path, mode);
    pthread_mutex_lock(&lock);
    char *name = tracked(directory, path);
    int result = REAL(mkdirat)(directory, path, mode);
    int failure = errno;
    if (result == 0 && name) record('M', -1, 0, name, strlen(name));
    free(name);
    pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
