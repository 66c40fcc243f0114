/* The test harness: an explicit table of named tests, each run in a child process with a time
 * limit, so that a crash or a hang is one failure and the rest still run.
 *
 *     static void append_past_capacity_fails(void) { CHECK_EQ(f(), 3); }
 *     static const struct test tests[] = {TEST(append_past_capacity_fails)};
 *     HARNESS_MAIN(tests)
 *
 * The binary prints one line per test that failed or was skipped and ends with
 * "N passed, N failed, N skipped"; its exit status is 1 if any failed. Arguments: substrings of
 * names to run; --list; --no-fork (for debuggers); -v (every test's name and time). */
#ifndef HARNESS_H
#define HARNESS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

struct test {
    const char *name;
    void (*run)(void);
    double time_limit; /* seconds; 0: 120 */
};
#define TEST(function)                                                                             \
    { #function, function, 0 }
#define TEST_LONG(function, seconds)                                                               \
    { #function, function, seconds }
#define HARNESS_MAIN(tests)                                                                        \
    int main(int argc, char **argv) {                                                              \
        return harness_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]));                \
    }
int harness_main(int argc, char **argv, const struct test *tests, size_t count);

/* Ends the current test as failed, or skipped with a reason (which the summary prints). */
_Noreturn void harness_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void harness_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prefix for the failures of the block that follows ("V=17 isa=avx2"); "" to end. */
void harness_context(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The block, held by the harness until the test ends, so that it does not count as leaked. */
void *harness_keep(void *block);

/* How often `part` stands in `text`. */
size_t harness_count(const char *text, const char *part);

/* A fresh directory for the current test's files, removed when the test ends. */
const char *harness_directory(void);
/* A path under shared/ (beside the project's root), or ends the test as skipped, saying so. */
const char *harness_shared(const char *relative);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) harness_fail(__FILE__, __LINE__, "%s", #condition);                      \
    } while (0)
#define CHECK_EQ(actual, expected)                                                                 \
    do {                                                                                           \
        long long check_a_ = (long long)(actual), check_e_ = (long long)(expected);                \
        if (check_a_ != check_e_)                                                                  \
            harness_fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #actual, check_a_,       \
                         check_e_);                                                                \
    } while (0)
#define CHECK_STR(actual, expected)                                                                \
    do {                                                                                           \
        const char *check_a_ = (actual), *check_e_ = (expected);                                   \
        if (strcmp(check_a_, check_e_) != 0)                                                       \
            harness_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #actual, check_a_,   \
                         check_e_);                                                                \
    } while (0)
#define CHECK_HAS(text, part)                                                                      \
    do {                                                                                           \
        const char *check_t_ = (text), *check_p_ = (part);                                         \
        if (!strstr(check_t_, check_p_))                                                           \
            harness_fail(__FILE__, __LINE__, "\"%s\" does not contain \"%s\"", check_t_,           \
                         check_p_);                                                                \
    } while (0)
/* |actual - expected| <= tolerance; NaN fails. */
#define CHECK_NEAR(actual, expected, tolerance)                                                    \
    do {                                                                                           \
        double check_a_ = (actual), check_e_ = (expected), check_t_ = (tolerance);                 \
        if (!(fabs(check_a_ - check_e_) <= check_t_))                                              \
            harness_fail(__FILE__, __LINE__, "%s is %.9g, expected %.9g within %.3g", #actual,     \
                         check_a_, check_e_, check_t_);                                            \
    } while (0)
/* The call must succeed; on failure its text is the message. */
#define CHECK_OK(call, err)                                                                        \
    do {                                                                                           \
        if ((call) != FATHOM_OK) harness_fail(__FILE__, __LINE__, "%s: %s", #call, (err)->text);   \
    } while (0)
/* The call must fail with this status. */
#define CHECK_STATUS(call, expected)                                                               \
    do {                                                                                           \
        fathom_status check_s_ = (call);                                                           \
        if (check_s_ != (expected))                                                                \
            harness_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #call,               \
                         status_name(check_s_), status_name(expected));                            \
    } while (0)

#endif
