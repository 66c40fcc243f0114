#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

/* A child tells its outcome by its exit status and, for the summary, a line in a pipe. None is 0:
 * code under test that calls exit() has not passed. */
enum outcome { OUTCOME_FAILED = 70, OUTCOME_SKIPPED = 71, OUTCOME_PASSED = 72 };
enum { MESSAGE_MAX = 2048 };
static const double default_limit = 120;

/* State of the child that runs one test; the harness is the one program part that has globals. */
static int message_fd = -1;
static char context[512];
static char directory[512];

static void send_message(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static void send_message(const char *format, va_list args) {
    char text[MESSAGE_MAX];
    int size = vsnprintf(text, sizeof text, format, args);
    if (size < 0) return;
    size_t length = (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    if (message_fd < 0)
        fprintf(stderr, "%s\n", text);
    else if (write(message_fd, text, length) < 0)
        perror("harness");
}

static void send_words(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void send_words(const char *format, ...) {
    va_list args;
    va_start(args, format);
    send_message(format, args);
    va_end(args);
}

size_t harness_count(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

void *harness_keep(void *block) {
    static void **kept;
    static size_t count, capacity;
    if (count == capacity) {
        capacity = 2 * capacity + 64;
        kept = realloc(kept, capacity * sizeof *kept);
        if (!kept) abort();
    }
    return kept[count++] = block;
}

/* Present in builds with the address sanitizer only: true when memory has leaked so far. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static _Noreturn void leave(enum outcome outcome) {
    fflush(NULL);
    if (directory[0]) path_remove(directory, NULL);
    bool is_forked = message_fd >= 0;
    _exit(outcome == OUTCOME_PASSED && !is_forked ? 0 : (int)outcome);
}

void harness_fail(const char *file, int line, const char *format, ...) {
    char text[MESSAGE_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    send_words("%s:%d: %s%s%s", file, line, context, context[0] ? ": " : "", text);
    leave(OUTCOME_FAILED);
}

void harness_skip(const char *format, ...) {
    va_list args;
    va_start(args, format);
    send_message(format, args);
    va_end(args);
    leave(OUTCOME_SKIPPED);
}

void harness_context(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
}

/* The directory of the test that runs in process `child`; its parent removes it even after a crash.
 */
static void name_directory(char name[sizeof directory], pid_t child) {
    const char *base = getenv("TMPDIR");
    snprintf(name, sizeof directory, "%s/fathom-test-%ld", base && *base ? base : "/tmp",
             (long)child);
}

const char *harness_directory(void) {
    if (directory[0]) return directory;
    char name[sizeof directory];
    struct error err = {0};
    name_directory(name, getpid());
    if (path_remove(name, &err) != FATHOM_OK)
        harness_fail(__FILE__, __LINE__, "a directory that an earlier test left: %s", err.text);
    if (mkdir(name, 0700) != 0)
        harness_fail(__FILE__, __LINE__, "%s: cannot be made: %s", name, strerror(errno));
    memcpy(directory, name, sizeof directory);
    return directory;
}

const char *harness_shared(const char *relative) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", TESTS_SHARED_DIR, relative);
    if (!path_exists(path)) harness_skip("shared/%s is not here", relative);
    return path;
}

/* ---- the parent ---- */

struct tally {
    int passed, failed, skipped;
    bool is_verbose;
};

static void run_here(const struct test *test) {
    test->run();
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check()) {
        send_words("memory was not freed; LeakSanitizer's report says where it came from");
        leave(OUTCOME_FAILED);
    }
    leave(OUTCOME_PASSED);
}

static _Noreturn void run_as_child(const struct test *test, int fd) {
    double limit = test->time_limit > 0 ? test->time_limit : default_limit;
    const char *scale = getenv("FATHOM_TEST_TIME_SCALE"); /* sanitizers and valgrind are slow */
    if (scale) limit *= atof(scale) > 0 ? atof(scale) : 1;
    message_fd = fd;
    alarm((unsigned)limit + 1);
    run_here(test);
    abort();
}

/* Forks; the child's messages arrive on *messages. The child leads a process group of its own, so
 * that what it started can be ended with it, and it ends when this process does. */
static pid_t start(const struct test *test, int *messages) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_as_child(test, ends[1]);
    }
    close(ends[1]);
    *messages = ends[0];
    if (child < 0)
        close(ends[0]);
    else
        setpgid(child, child); /* here too: whichever of the two is first */
    return child;
}

static void read_message(int fd, char text[MESSAGE_MAX]) {
    size_t used = 0;
    while (used < MESSAGE_MAX - 1) {
        ssize_t got = read(fd, text + used, MESSAGE_MAX - 1 - used);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        used += (size_t)got;
    }
    text[used] = 0;
}

static void judge(const struct test *test, int status, const char *message, double seconds,
                  struct tally *tally) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == OUTCOME_PASSED) {
        tally->passed++;
        if (tally->is_verbose) printf("ok      %s (%.2f s)\n", test->name, seconds);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == OUTCOME_SKIPPED) {
        tally->skipped++;
        printf("skipped %s: %s\n", test->name, message);
    } else {
        tally->failed++;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            printf("FAILED  %s: time limit reached after %.0f s\n", test->name, seconds);
        else if (WIFSIGNALED(status))
            printf("FAILED  %s: died of %s; %s\n", test->name, strsignal(WTERMSIG(status)),
                   message);
        else
            printf("FAILED  %s: %s (exit status %d)\n", test->name, message, WEXITSTATUS(status));
    }
    fflush(stdout);
}

static void run_forked(const struct test *test, struct tally *tally) {
    char message[MESSAGE_MAX], left[sizeof directory];
    int messages = -1, status = 0;
    siginfo_t ended;
    double begin = clock_seconds();
    pid_t child = start(test, &messages);
    if (child < 0) {
        tally->failed++;
        printf("FAILED  %s: cannot fork: %s\n", test->name, strerror(errno));
        return;
    }
    /* Reaped only after its group is ended, so that the group's number is still its own. Nobody
     * reads until then: a message fits in the pipe. */
    while (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR) continue;
    kill(-child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    read_message(messages, message);
    close(messages);
    name_directory(left, child);
    path_remove(left, NULL);
    judge(test, status, message, clock_seconds() - begin, tally);
}

static bool is_selected(const struct test *test, int argc, char **argv) {
    bool has_filter = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        has_filter = true;
        if (strstr(test->name, argv[i])) return true;
    }
    return !has_filter;
}

static bool has_flag(int argc, char **argv, const char *flag) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0) return true;
    return false;
}

int harness_main(int argc, char **argv, const struct test *tests, size_t count) {
    struct tally tally = {.is_verbose = has_flag(argc, argv, "-v")};
    bool lists = has_flag(argc, argv, "--list"), stays = has_flag(argc, argv, "--no-fork");
    for (size_t i = 0; i < count; i++) {
        if (!is_selected(&tests[i], argc, argv)) continue;
        if (lists)
            printf("%s\n", tests[i].name);
        else if (stays)
            run_here(&tests[i]); /* ends the process: name one test with --no-fork */
        else
            run_forked(&tests[i], &tally);
    }
    if (!lists)
        printf("%d passed, %d failed, %d skipped\n", tally.passed, tally.failed, tally.skipped);
    return tally.failed > 0;
}
