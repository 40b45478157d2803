/*
 * A disk that fails on order: loaded before the C library (LD_PRELOAD), it numbers the calls that change a folder and
 * kills the process beside one of them, or answers it with an error. See disk.rs.
 *
 * It stands between program and system and not in the program, so that what is tested is what ships. All threads share
 * one count, which strace's `inject=…:when=N` does not have.
 *
 * TAZUNE_DISK_ROOT   calls on paths that begin so are numbered
 * TAZUNE_DISK_ORDER  file with one order: <action> <which> <number> <last>; without it every call passes, and the
 *                    count begins with the first call that finds the file
 *   action   before, after: SIGKILL; forget: a sync is answered and not done; or an errno
 *   which    all, or barriers: what makes things durable or visible; file contents and shared memory are left out
 *   number   the first call that it strikes, from 1; last: the last one, for errors
 * Each struck call is appended to <order file>.hit: number, name, path.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define PASS 0
#define KILL_AFTER (-1)
#define FORGET (-2)

static atomic_long count;

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static void tell(const char *order, long number, const char *name, const char *path) {
    char file[PATH_MAX + 8], line[PATH_MAX + 64];
    snprintf(file, sizeof file, "%s.hit", order);
    int length = snprintf(line, sizeof line, "%ld %s %s\n", number, name, path);
    long fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd >= 0) {
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
}

/* What is to become of a call: PASS, KILL_AFTER, FORGET, or the errno it fails with. */
static int judge(const char *name, int is_barrier, const char *path) {
    const char *root = getenv("TAZUNE_DISK_ROOT"), *order = getenv("TAZUNE_DISK_ORDER");
    if (!root || !order || strncmp(path, root, strlen(root)) != 0)
        return PASS;
    char text[128] = {0}, action[16], which[16];
    long first, last;
    long fd = syscall(SYS_openat, AT_FDCWD, order, O_RDONLY);
    if (fd < 0)
        return PASS;
    syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (sscanf(text, "%15s %15s %ld %ld", action, which, &first, &last) != 4)
        return PASS;
    if (strcmp(which, "barriers") == 0 && !is_barrier)
        return PASS;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (number < first || number > last)
        return PASS;
    tell(order, number, name, path);
    if (strcmp(action, "before") == 0)
        die();
    if (strcmp(action, "after") == 0)
        return KILL_AFTER;
    return strcmp(action, "forget") == 0 ? FORGET : atoi(action);
}

static int judge_fd(const char *name, int is_barrier, int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/')
        return PASS;
    path[length] = 0;
    return judge(name, is_barrier && !strstr(path, "-shm"), path);
}

static long done(int verdict, long result) {
    int kept = errno;
    if (verdict == KILL_AFTER)
        die();
    errno = kept;
    return result;
}

static long failed(int verdict) {
    errno = verdict;
    return -1;
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    int verdict = PASS;
    if (flags & O_CREAT) {
        int is_new = syscall(SYS_faccessat, folder, path, F_OK) != 0;
        verdict = judge("create", is_new && !strstr(path, "-shm"), path);
    }
    if (verdict > 0)
        return failed(verdict);
    return done(verdict, syscall(SYS_openat, folder, path, flags, mode));
}

#define OPEN(name, large)                                                                                              \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                        \
        va_end(rest);                                                                                                  \
        return open_at(AT_FDCWD, path, flags | large, mode);                                                           \
    }
OPEN(open, 0)
OPEN(open64, O_LARGEFILE)

ssize_t write(int fd, const void *bytes, size_t size) {
    int verdict = judge_fd("write", 0, fd);
    if (verdict > 0)
        return failed(verdict);
    return done(verdict, syscall(SYS_write, fd, bytes, size));
}

static ssize_t write_at(int fd, const void *bytes, size_t size, off_t offset) {
    int verdict = judge_fd("pwrite", 0, fd);
    if (verdict > 0)
        return failed(verdict);
    return done(verdict, syscall(SYS_pwrite64, fd, bytes, size, offset));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) { return write_at(fd, bytes, size, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset) { return write_at(fd, bytes, size, offset); }

static int sync_of(const char *name, int fd, long number) {
    int verdict = judge_fd(name, 1, fd);
    if (verdict == FORGET)
        return 0;
    return verdict > 0 ? failed(verdict) : done(verdict, syscall(number, fd));
}

int fsync(int fd) { return sync_of("fsync", fd, SYS_fsync); }
int fdatasync(int fd) { return sync_of("fdatasync", fd, SYS_fdatasync); }

static int truncate_to(int fd, off_t size) {
    int verdict = judge_fd("ftruncate", 1, fd);
    return verdict > 0 ? failed(verdict) : done(verdict, syscall(SYS_ftruncate, fd, size));
}

int ftruncate(int fd, off_t size) { return truncate_to(fd, size); }
int ftruncate64(int fd, off_t size) { return truncate_to(fd, size); }

#define ON_PATH(name, parameters, call, path)                                                                          \
    int name parameters {                                                                                              \
        int verdict = judge(#name, !strstr(path, "-shm"), path);                                                       \
        return verdict > 0 ? failed(verdict) : done(verdict, call);                                                    \
    }
ON_PATH(rename, (const char *from, const char *to), syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), to)
ON_PATH(unlink, (const char *path), syscall(SYS_unlinkat, AT_FDCWD, path, 0), path)
ON_PATH(mkdir, (const char *path, mode_t mode), syscall(SYS_mkdirat, AT_FDCWD, path, mode), path)
