/* The harness itself: a table with every way to fail is run as another process, and its output and
 * exit status are looked at. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "harness.h"

/* ---- the table that is run ---- */

static void sample_passes(void) { CHECK(harness_directory()); }
static void sample_fails(void) {
    harness_context("case %d", 7);
    CHECK_EQ(2 + 2, 5);
}
static void sample_skips(void) { harness_skip("no such machine"); }
static void sample_crashes(void) {
    printf("its files: %s\n", harness_directory());
    fflush(stdout);
    raise(SIGKILL);
}
static void sample_hangs(void) { pause(); }
static void sample_exits_as_if_all_were_well(void) { exit(0); }
static void sample_leaves_a_process(void) {
    if (fork() == 0)
        for (;;) pause();
}
static void sample_wants_shared(void) { CHECK(harness_shared("no/such/thing")); }
static void sample_leaks(void) {
    static void *volatile kept;
    kept = malloc(100);
    CHECK(kept);
    kept = NULL;
}

static const struct test sample[] = {
    TEST(sample_passes),
    TEST(sample_fails),
    TEST(sample_skips),
    TEST(sample_crashes),
    TEST_LONG(sample_hangs, 0.5),
    TEST(sample_exits_as_if_all_were_well),
    TEST(sample_leaves_a_process),
    TEST(sample_wants_shared),
    TEST(sample_leaks),
};

/* ---- what is seen from outside ---- */

static char output[16384];

/* Runs this program on the sample with these arguments; its exit status. */
static int run_sample(const char *arguments) {
    char self[1024], command[2048];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(size > 0);
    self[size] = 0;
    snprintf(command, sizeof command, "FATHOM_TEST_TIME_SCALE= '%s' --sample %s 2>/dev/null", self,
             arguments);
    FILE *pipe = popen(command, "r");
    CHECK(pipe);
    size_t used = fread(output, 1, sizeof output - 1, pipe);
    output[used] = 0;
    int status = pclose(pipe);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_passing_table_exits_with_0(void) {
    CHECK_EQ(run_sample("sample_passes sample_leaves_a_process"), 0);
    CHECK_STR(output, "2 passed, 0 failed, 0 skipped\n");
    CHECK_EQ(run_sample("-v sample_passes"), 0);
    CHECK_HAS(output, "ok      sample_passes (");
}

static void a_failure_is_named_with_its_values(void) {
    CHECK_EQ(run_sample("sample_fails sample_passes"), 1);
    CHECK_HAS(output, "FAILED  sample_fails: ");
    CHECK_HAS(output, "case 7: 2 + 2 is 4, expected 5");
    CHECK_HAS(output, "\n1 passed, 1 failed, 0 skipped\n");
}

static void a_skipped_test_says_why_and_is_no_failure(void) {
    CHECK_EQ(run_sample("sample_skips sample_wants"), 0);
    CHECK_HAS(output, "skipped sample_skips: no such machine\n");
    CHECK_HAS(output, "skipped sample_wants_shared: shared/no/such/thing is not here\n");
    CHECK_HAS(output, "\n0 passed, 0 failed, 2 skipped\n");
}

static void crashes_hangs_and_exits_are_failures(void) {
    double begin = clock_seconds();
    CHECK_EQ(run_sample("sample_crashes sample_hangs sample_exits"), 1);
    CHECK_HAS(output, "FAILED  sample_crashes: died of Killed");
    CHECK_HAS(output, "FAILED  sample_hangs: time limit reached");
    CHECK_HAS(output, "FAILED  sample_exits_as_if_all_were_well: ");
    CHECK_HAS(output, "\n0 passed, 3 failed, 0 skipped\n");
    CHECK(clock_seconds() - begin < 30);
}

static void a_crashed_test_s_files_are_removed(void) {
    CHECK_EQ(run_sample("sample_crashes"), 1);
    char *path = strstr(output, "its files: ");
    CHECK(path);
    path += strlen("its files: ");
    path[strcspn(path, "\n")] = 0;
    CHECK_HAS(path, "/fathom-test-");
    CHECK(!path_exists(path));
}

static void a_lone_test_runs_without_a_fork(void) {
    CHECK_EQ(run_sample("--no-fork sample_passes"), 0);
    CHECK(run_sample("--no-fork sample_fails") != 0);
}

static void tests_can_be_listed_and_picked(void) {
    CHECK_EQ(run_sample("--list"), 0);
    CHECK_HAS(output, "sample_passes\nsample_fails\nsample_skips\n");
    CHECK_EQ(run_sample("nothing_of_this_name"), 0);
    CHECK_STR(output, "0 passed, 0 failed, 0 skipped\n");
}

/* Only builds with the address sanitizer see leaks. */
#if defined(__SANITIZE_ADDRESS__)
static void leaks_are_failures(void) {
    CHECK_EQ(run_sample("sample_leaks"), 1);
    CHECK_HAS(output, "memory was not freed");
}
#endif

static const struct test tests[] = {
    TEST(a_passing_table_exits_with_0),
    TEST(a_failure_is_named_with_its_values),
    TEST(a_skipped_test_says_why_and_is_no_failure),
    TEST(crashes_hangs_and_exits_are_failures),
    TEST(a_crashed_test_s_files_are_removed),
    TEST(a_lone_test_runs_without_a_fork),
    TEST(tests_can_be_listed_and_picked),
#if defined(__SANITIZE_ADDRESS__)
    TEST(leaks_are_failures),
#endif
};

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--sample") == 0)
        return harness_main(argc - 1, argv + 1, sample, sizeof sample / sizeof sample[0]);
    return harness_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
