/* Preloaded into the program by tests: lets its writing calls fail as a bad disk would.
 *
 * FATHOM_FAULT=KIND:N says which fail, counted from 1 over all threads and over the calls that the
 * kind concerns:
 *     enospc  the Nth call that takes space, once
 *     full    that one and all after it; a write that is the Nth puts half of its bytes first
 *     eio     the Nth call of all, once
 *     dead    that one and all after it
 *     short   the Nth write puts half of its bytes and says so
 * FATHOM_FAULT_LOG=FILE gets a line with the first call that failed and, when the program ends, one
 * with the number of calls. Standard input, output and error are left alone; so is reading. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a call may come to; a kind is the set of those it concerns. */
enum call { CALL_WRITE = 1, CALL_SPACE = 2, CALL_OTHER = 4 };

static const struct kind {
    const char *name;
    unsigned calls;
    int code; /* errno */
    bool stays, cuts;
} kinds[] = {
    {"enospc", CALL_WRITE | CALL_SPACE, ENOSPC, false, false},
    {"full", CALL_WRITE | CALL_SPACE, ENOSPC, true, true},
    {"eio", CALL_WRITE | CALL_SPACE | CALL_OTHER, EIO, false, false},
    {"dead", CALL_WRITE | CALL_SPACE | CALL_OTHER, EIO, true, false},
    {"short", CALL_WRITE, 0, false, true},
};

enum { DESCRIPTORS = 1024 };
static const struct kind *kind; /* NULL: nothing fails */
static long long due;
static _Atomic long long calls;
static _Atomic bool is_written[DESCRIPTORS]; /* open for writing */

__attribute__((constructor)) static void read_environment(void) {
    const char *fault = getenv("FATHOM_FAULT");
    for (size_t i = 0; fault && i < sizeof kinds / sizeof kinds[0]; i++) {
        const size_t size = strlen(kinds[i].name);
        if (strncmp(fault, kinds[i].name, size) != 0 || fault[size] != ':') continue;
        kind = &kinds[i];
        due = atoll(fault + size + 1);
    }
}

/* ---- the calls that stand behind ours ---- */

static long real_syscall(long number, long a, long b, long c, long d, long e, long f) {
    static long (*_Atomic next)(long, ...);
    if (!next) {
        long (*found)(long, ...) = NULL;
        *(void **)&found = dlsym(RTLD_NEXT, "syscall");
        next = found;
    }
    return next(number, a, b, c, d, e, f);
}

static long call3(long number, long a, long b, long c) {
    return real_syscall(number, a, b, c, 0, 0, 0);
}

static void tell(const char *name, const char *what) {
    const char *path = getenv("FATHOM_FAULT_LOG");
    char line[512];
    if (!path) return;
    int size = snprintf(line, sizeof line, "%s %s\n", name, what);
    if (size >= (int)sizeof line) size = sizeof line - 1;
    long fd =
        real_syscall(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_APPEND, 0666, 0, 0);
    call3(SYS_write, fd, (long)line, size);
    call3(SYS_close, fd, 0, 0);
}

__attribute__((destructor)) static void tell_count(void) {
    char number[32];
    snprintf(number, sizeof number, "%lld", atomic_load(&calls));
    if (kind) tell("calls", number);
}

/* ---- which call fails ---- */

enum verdict { GOES_ON, FAILS, IS_CUT };

/* With errno set where the call fails. */
static enum verdict judge(enum call call, const char *name, const char *what) {
    if (!kind || !(kind->calls & call)) return GOES_ON;
    long long number = atomic_fetch_add(&calls, 1) + 1;
    if (number < due || (number > due && !kind->stays)) return GOES_ON;
    if (number == due) tell(name, what);
    errno = kind->code;
    if (number == due && call == CALL_WRITE && kind->cuts) return IS_CUT;
    return FAILS;
}

static enum verdict judge_descriptor(enum call call, const char *name, int fd) {
    char link[64], path[256];
    if (fd <= STDERR_FILENO) return GOES_ON;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long size =
        real_syscall(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, sizeof path - 1, 0, 0);
    path[size > 0 ? size : 0] = 0;
    return judge(call, name, path);
}

/* ---- opening and closing ---- */

static int open_at(int directory, const char *path, int flags, mode_t mode) {
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes && judge(flags & O_CREAT ? CALL_SPACE : CALL_OTHER, "open", path) != GOES_ON)
        return -1;
    long fd = real_syscall(SYS_openat, directory, (long)path, flags, mode, 0, 0);
    if (fd >= 0 && fd < DESCRIPTORS) is_written[fd] = writes;
    return (int)fd;
}

static mode_t mode_of(int flags, va_list args) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define EXPORT __attribute__((visibility("default")))

EXPORT int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_at(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int directory, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_at(directory, path, flags, mode);
}

/* Closes whatever it says: the descriptor is gone after an error too, as on Linux. */
EXPORT int close(int fd) {
    const bool writes = fd >= 0 && fd < DESCRIPTORS && is_written[fd];
    enum verdict verdict = writes ? judge_descriptor(CALL_SPACE, "close", fd) : GOES_ON;
    if (writes) is_written[fd] = false;
    if (verdict == GOES_ON) return (int)call3(SYS_close, fd, 0, 0);
    call3(SYS_close, fd, 0, 0);
    errno = kind->code;
    return -1;
}

/* ---- contents ---- */

EXPORT ssize_t write(int fd, const void *bytes, size_t size) {
    enum verdict verdict = judge_descriptor(CALL_WRITE, "write", fd);
    if (verdict == FAILS) return -1;
    if (verdict == IS_CUT) size = (size + 1) / 2;
    return call3(SYS_write, fd, (long)bytes, (long)size);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    enum verdict verdict = judge_descriptor(CALL_WRITE, "pwrite", fd);
    if (verdict == FAILS) return -1;
    if (verdict == IS_CUT) size = (size + 1) / 2;
    return real_syscall(SYS_pwrite64, fd, (long)bytes, (long)size, offset, 0, 0);
}

EXPORT int fsync(int fd) {
    if (judge_descriptor(CALL_SPACE, "fsync", fd) != GOES_ON) return -1;
    return (int)call3(SYS_fsync, fd, 0, 0);
}

EXPORT int ftruncate(int fd, off_t size) {
    if (judge_descriptor(CALL_OTHER, "ftruncate", fd) != GOES_ON) return -1;
    return (int)call3(SYS_ftruncate, fd, size, 0);
}

EXPORT int truncate(const char *path, off_t size) {
    if (judge(CALL_OTHER, "truncate", path) != GOES_ON) return -1;
    return (int)call3(SYS_truncate, (long)path, size, 0);
}

/* ---- names ---- */

EXPORT int mkdir(const char *path, mode_t mode) {
    if (judge(CALL_SPACE, "mkdir", path) != GOES_ON) return -1;
    return (int)call3(SYS_mkdir, (long)path, mode, 0);
}

EXPORT int rename(const char *from, const char *to) {
    if (judge(CALL_SPACE, "rename", to) != GOES_ON) return -1;
    return (int)call3(SYS_rename, (long)from, (long)to, 0);
}

EXPORT int link(const char *from, const char *to) {
    if (judge(CALL_SPACE, "link", to) != GOES_ON) return -1;
    return (int)call3(SYS_link, (long)from, (long)to, 0);
}

EXPORT int unlink(const char *path) {
    if (judge(CALL_OTHER, "unlink", path) != GOES_ON) return -1;
    return (int)call3(SYS_unlink, (long)path, 0, 0);
}

EXPORT int rmdir(const char *path) {
    if (judge(CALL_OTHER, "rmdir", path) != GOES_ON) return -1;
    return (int)call3(SYS_rmdir, (long)path, 0, 0);
}

/* renameat2 is called by its number; others pass. */
EXPORT long syscall(long number, ...) {
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_renameat2 && judge(CALL_SPACE, "renameat2", (const char *)a[3]) != GOES_ON)
        return -1;
    return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
