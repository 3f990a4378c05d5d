/* Makes the n-th change of a file below a directory fail, and moves the wall clock: for tests, by LD_PRELOAD.
 *
 * FAULT_BELOW    the directory whose files are concerned
 * FAULT_PLAN     a file "GENERATION N LAST ERRNO KINDS": the calls N to LAST of the plan fail with ERRNO, or
 *                write only half for ERRNO 0. KINDS are letters of "wsrmotu". No file: nothing fails.
 *                A new generation counts from one again.
 * FAULT_LOG      receives "GENERATION N KIND FAILED PATH" for each call that was counted
 * FAULT_CLOCK    a file with the seconds by which CLOCK_REALTIME is off
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long generation = -1;
static long calls;

static ssize_t read_small(const char *path, char *text, size_t size) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t length = syscall(SYS_read, fd, text, size - 1);
    syscall(SYS_close, fd);
    text[length > 0 ? length : 0] = 0;
    return length;
}

static void note(long number, char kind, int failed, const char *path) {
    const char *log = getenv("FAULT_LOG");
    char line[PATH_MAX + 80];
    int length = snprintf(line, sizeof line, "%ld %ld %c %d %s\n", generation, number, kind, failed, path);
    int fd = log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0) return;
    syscall(SYS_write, fd, line, length);
    syscall(SYS_close, fd);
}

/* Whether this call is to fail; *code is the errno then. */
static int fails(char kind, const char *path, int *code) {
    const char *below = getenv("FAULT_BELOW"), *plan = getenv("FAULT_PLAN");
    char text[200], kinds[32];
    long wanted, first, last;
    int before = errno, failed = 0;
    if (!below || !plan || strncmp(path, below, strlen(below)) || path[strlen(below)] != '/') return 0;
    pthread_mutex_lock(&mutex);
    if (read_small(plan, text, sizeof text) > 0
        && sscanf(text, "%ld %ld %ld %d %31s", &wanted, &first, &last, code, kinds) == 5
        && strchr(kinds, kind)) {
        if (wanted != generation) {
            generation = wanted;
            calls = 0;
        }
        calls++;
        failed = calls >= first && calls <= last;
        note(calls, kind, failed, path);
    }
    pthread_mutex_unlock(&mutex);
    errno = before;
    return failed;
}

static int fails_on(char kind, int fd, int *code) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return fails(kind, path, code);
}

static int fails_at(char kind, int directory, const char *name, int *code) {
    char path[PATH_MAX], base[PATH_MAX];
    if (name[0] == '/') return fails(kind, name, code);
    if (directory == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
        if (length <= 0) return 0;
        base[length] = 0;
    }
    if (snprintf(path, sizeof path, "%s/%s", base, name) >= (int)sizeof path) return 0;
    return fails(kind, path, code);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(name, declared, size, passed)                        \
    ssize_t name declared {                                         \
        int code;                                                   \
        if (fails_on('w', fd, &code)) {                             \
            if (code) return errno = code, -1;                      \
            if (size > 1) size /= 2;                                \
        }                                                           \
        return REAL(name) passed;                                   \
    }
#define FAILS_ON(kind, name, declared, passed)                      \
    int name declared {                                             \
        int code;                                                   \
        if (fails_on(kind, fd, &code) && code) return errno = code, -1; \
        return REAL(name) passed;                                   \
    }
#define FAILS_AT(kind, name, directory, path, declared, passed)     \
    int name declared {                                             \
        int code;                                                   \
        if (fails_at(kind, directory, path, &code) && code) return errno = code, -1; \
        return REAL(name) passed;                                   \
    }
#define OPENS(name, directory, declared, passed)                    \
    int name declared {                                             \
        int code, mode = 0;                                         \
        if (flags & O_CREAT) {                                      \
            va_list more;                                           \
            va_start(more, flags);                                  \
            mode = va_arg(more, int);                               \
            va_end(more);                                           \
            if (fails_at('o', directory, path, &code) && code) return errno = code, -1; \
        }                                                           \
        return REAL(name) passed;                                   \
    }

WRITES(write, (int fd, const void *data, size_t size), size, (fd, data, size))
WRITES(pwrite, (int fd, const void *data, size_t size, off_t at), size, (fd, data, size, at))
WRITES(pwrite64, (int fd, const void *data, size_t size, off64_t at), size, (fd, data, size, at))
FAILS_ON('s', fsync, (int fd), (fd))
FAILS_ON('s', fdatasync, (int fd), (fd))
FAILS_ON('t', ftruncate, (int fd, off_t size), (fd, size))
FAILS_ON('t', ftruncate64, (int fd, off64_t size), (fd, size))
FAILS_AT('r', rename, AT_FDCWD, to, (const char *from, const char *to), (from, to))
FAILS_AT('m', mkdir, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
FAILS_AT('u', unlink, AT_FDCWD, path, (const char *path), (path))
OPENS(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENS(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENS(openat, fd, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))
OPENS(openat64, fd, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))

static double offset(void) {
    const char *file = getenv("FAULT_CLOCK");
    char text[64];
    return file && read_small(file, text, sizeof text) > 0 ? atof(text) : 0.0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int status = syscall(SYS_clock_gettime, id, now);
    if (!status && id == CLOCK_REALTIME) {
        int before = errno;
        now->tv_sec += (time_t)offset();
        errno = before;
    }
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
