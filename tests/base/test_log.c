/* Lines and progress for people; clocks; the flag that an interrupt sets. */
#include "base/log.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness.h"

/* A log into memory; closing it gives the text (free). */
struct capture {
    struct log log;
    char *text;
    size_t size;
};

static void open_capture(struct capture *c, enum log_level level, bool is_terminal) {
    FILE *stream = open_memstream(&c->text, &c->size);
    CHECK(stream);
    log_init(&c->log, NULL, level); /* a stream in memory has no descriptor to ask */
    c->log.stream = stream;
    c->log.is_terminal = is_terminal;
}

static void check_and_close(struct capture *c, const char *expected) {
    fclose(c->log.stream);
    CHECK_STR(c->text, expected);
    free(c->text);
}

static void lines_above_the_level_are_dropped(void) {
    struct capture c;
    open_capture(&c, LOG_INFO, false);
    log_line(&c.log, LOG_DEBUG, "hidden");
    log_line(&c.log, LOG_INFO, "step %d", 3);
    log_line(&c.log, LOG_QUIET, "always");
    check_and_close(&c, "step 3\nalways\n");
    open_capture(&c, LOG_QUIET, false);
    log_line(&c.log, LOG_INFO, "hidden");
    log_progress(&c.log, true, "hidden");
    check_and_close(&c, "");
}

static void no_stream_means_silence(void) {
    struct log log;
    log_init(&log, NULL, LOG_DEBUG);
    log_line(&log, LOG_INFO, "nobody hears");
    log_progress(&log, true, "nobody sees");
    CHECK(!log.is_terminal);
}

static void progress_elsewhere_is_a_plain_line_now_and_then(void) {
    struct capture c;
    open_capture(&c, LOG_INFO, false);
    for (int i = 0; i < 100; i++) log_progress(&c.log, false, "step %d", i);
    log_progress(&c.log, true, "step 100");
    check_and_close(&c, "step 0\nstep 100\n");
}

static void progress_on_a_terminal_is_redrawn_and_cleared(void) {
    struct capture c;
    open_capture(&c, LOG_INFO, true);
    log_progress(&c.log, false, "1");
    log_progress(&c.log, false, "too soon");
    log_line(&c.log, LOG_INFO, "saved");
    log_progress(&c.log, true, "2");
    log_line(&c.log, LOG_INFO, "done");
    check_and_close(&c, "1\r\033[Ksaved\n2\ndone\n");
}

static void clocks_run_forward(void) {
    double began = clock_seconds(), worked = clock_process_seconds();
    usleep(20000);
    double slept = clock_seconds() - began;
    CHECK(slept >= 0.02 && slept < 10);
    CHECK(clock_process_seconds() - worked < 0.02);
    for (int i = 0; i < 1000; i++) {
        double now = clock_seconds();
        CHECK(clock_seconds() >= now);
    }
    CHECK(clock_wall() > 1.6e9);
    while (clock_process_seconds() - worked < 0.01) continue;
}

static void an_interrupt_sets_a_flag_once(void) {
    interrupt_install();
    CHECK(!interrupt_requested());
    raise(SIGTERM);
    CHECK(interrupt_requested());
}

static void a_second_interrupt_ends_the_process(void) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        interrupt_install();
        raise(SIGINT);
        if (interrupt_requested()) raise(SIGINT);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static const struct test tests[] = {
    TEST(lines_above_the_level_are_dropped),
    TEST(no_stream_means_silence),
    TEST(progress_elsewhere_is_a_plain_line_now_and_then),
    TEST(progress_on_a_terminal_is_redrawn_and_cleared),
    TEST(clocks_run_forward),
    TEST(an_interrupt_sets_a_flag_once),
    TEST(a_second_interrupt_ends_the_process),
};
HARNESS_MAIN(tests)
