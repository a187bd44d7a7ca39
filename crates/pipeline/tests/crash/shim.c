/* A disk that forgets what was not synced, and one that is full.
 *
 * Preloaded into a process, for the files of one folder ($SHIM_DIR):
 *
 * - Every fsync and fdatasync copies the file, as it is at that moment, to $SHIM_DISK. Nothing
 *   else reaches that folder, so when the process is killed it holds what a disk would hold after
 *   a power cut: the synced state of each file and no more. (Taking a file away is counted as
 *   durable at once.)
 * - While the file $SHIM_FULL exists, nothing can be written: no space is left.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* The name within the folder, if the path is in it. */
static const char *inside(const char *path) {
    const char *folder = getenv("SHIM_DIR");
    size_t n = folder ? strlen(folder) : 0;
    if (n == 0 || strncmp(path, folder, n) != 0 || path[n] != '/' || strchr(path + n + 1, '/'))
        return NULL;
    return path + n + 1;
}

static const char *name_of(int fd, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n <= 0)
        return NULL;
    path[n] = 0;
    return inside(path);
}

static ssize_t (*real_pwrite64(void))(int, const void *, size_t, off64_t) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real)
        real = dlsym(RTLD_NEXT, "pwrite64");
    return real;
}

static ssize_t (*real_write(void))(int, const void *, size_t) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real)
        real = dlsym(RTLD_NEXT, "write");
    return real;
}

/* Copies a file through its own descriptor: closing a second one would drop the process's locks. */
static int keep(int fd) {
    char path[PATH_MAX], copy[PATH_MAX], done[PATH_MAX], block[65536];
    struct stat what;
    const char *disk = getenv("SHIM_DISK");
    const char *name = name_of(fd, path);
    if (!disk || !name || fstat(fd, &what) != 0 || !S_ISREG(what.st_mode))
        return 0;
    snprintf(done, sizeof done, "%s/%s", disk, name);
    snprintf(copy, sizeof copy, "%s/%s.copying", disk, name);
    int out = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0)
        return -1;
    off64_t at = 0;
    for (;;) {
        ssize_t n = pread64(fd, block, sizeof block, at);
        if (n < 0 || (n > 0 && real_pwrite64()(out, block, (size_t)n, at) != n)) {
            close(out);
            return -1;
        }
        if (n == 0)
            break;
        at += n;
    }
    close(out);
    return rename(copy, done);
}

int fsync(int fd) { return keep(fd); }
int fdatasync(int fd) { return keep(fd); }

int unlink(const char *path) {
    static int (*real)(const char *);
    if (!real)
        real = dlsym(RTLD_NEXT, "unlink");
    const char *name = inside(path), *disk = getenv("SHIM_DISK");
    if (name && disk) {
        char copy[PATH_MAX];
        snprintf(copy, sizeof copy, "%s/%s", disk, name);
        real(copy);
    }
    return real(path);
}

static int full(int fd) {
    char path[PATH_MAX];
    const char *flag = getenv("SHIM_FULL");
    if (!flag || access(flag, F_OK) != 0 || !name_of(fd, path))
        return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
    return full(fd) ? -1 : real_pwrite64()(fd, from, n, at);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at) {
    return full(fd) ? -1 : real_pwrite64()(fd, from, n, at);
}

ssize_t write(int fd, const void *from, size_t n) {
    return full(fd) ? -1 : real_write()(fd, from, n);
}
