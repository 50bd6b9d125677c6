/*
 * Loaded under the program (LD_PRELOAD) by tests of power cuts and kills.
 *
 * DISK_FOLDER: a folder with the files as a power cut would leave them. Each fsync copies the file there, so it holds
 * of each file what was in it at its last fsync, and nothing else.
 *
 * DISK_KILL="point n": kills the process (SIGKILL) at the n-th call at this point, counted from the moment at which the
 * file DISK_ARMED exists. Points: write-before (a write to a -wal file), sync-before and sync-after (its fsync),
 * connect-before and connect-after, name-before and name-after (link, rename, unlink of anything).
 *
 * DISK_HANG: a file. While it exists, fsync of a -wal file does not return.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int reached;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The path of a descriptor; empty if it has none. */
static void path_of(int fd, char path[4096]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    path[length > 0 ? length : 0] = 0;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static int is_log(int fd) {
    char path[4096];
    path_of(fd, path);
    return ends_with(path, ".db-wal");
}

static void reach(const char *point) {
    const char *kill_at = getenv("DISK_KILL"), *armed = getenv("DISK_ARMED");
    size_t length = strlen(point);
    if (!kill_at || strncmp(kill_at, point, length) != 0 || kill_at[length] != ' ') return;
    if (!armed || access(armed, F_OK) != 0) return;
    pthread_mutex_lock(&lock);
    if (++reached == atoi(kill_at + length + 1)) kill(getpid(), SIGKILL);
    pthread_mutex_unlock(&lock);
}

/* Copies a database file or its log to the disk. It reads by the same descriptor: opening and closing the file again
 * would release SQLite's locks. A rename makes the copy whole. */
static void keep(int fd) {
    const char *folder = getenv("DISK_FOLDER");
    char path[4096], part[8192], whole[8192], buffer[65536];
    path_of(fd, path);
    if (!folder || !(ends_with(path, ".db") || ends_with(path, ".db-wal"))) return;
    pthread_mutex_lock(&lock);
    const char *name = strrchr(path, '/') + 1;
    snprintf(part, sizeof part, "%s/part", folder);
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    int copy = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t at = 0;
    ssize_t got = 0;
    while (copy >= 0 && (got = pread(fd, buffer, sizeof buffer, at)) > 0) {
        if (REAL(write)(copy, buffer, got) != got) abort();
        at += got;
    }
    if (copy < 0 || got < 0 || close(copy) != 0 || REAL(rename)(part, whole) != 0) abort();
    pthread_mutex_unlock(&lock);
}

static int synced(int fd, int (*sync)(int)) {
    int log = is_log(fd);
    const char *hang = getenv("DISK_HANG");
    while (log && hang && access(hang, F_OK) == 0) usleep(5000);
    if (log) reach("sync-before");
    int result = sync(fd);
    int error = errno;
    if (result == 0) keep(fd);
    if (log) reach("sync-after");
    errno = error;
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }

int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

ssize_t write(int fd, const void *bytes, size_t count) {
    if (getenv("DISK_KILL") && is_log(fd)) reach("write-before");
    return REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    if (getenv("DISK_KILL") && is_log(fd)) reach("write-before");
    return REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (getenv("DISK_KILL") && is_log(fd)) reach("write-before");
    return REAL(pwrite64)(fd, bytes, count, at);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    reach("connect-before");
    int result = REAL(connect)(fd, address, length);
    int error = errno;
    reach("connect-after");
    errno = error;
    return result;
}

#define NAMING(call)                                                                                                   \
    reach("name-before");                                                                                              \
    int result = call;                                                                                                 \
    int error = errno;                                                                                                 \
    reach("name-after");                                                                                               \
    errno = error;                                                                                                     \
    return result;

int link(const char *from, const char *to) { NAMING(REAL(link)(from, to)) }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    NAMING(REAL(linkat)(from_folder, from, to_folder, to, flags))
}

int rename(const char *from, const char *to) { NAMING(REAL(rename)(from, to)) }

int unlink(const char *path) { NAMING(REAL(unlink)(path)) }
