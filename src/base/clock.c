#include "base/clock.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double clock_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }
double clock_wall(void) { return seconds_of(CLOCK_REALTIME); }
double clock_process_seconds(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

double clock_since(double begin) {
    double seconds = clock_seconds() - begin;
    return seconds > 0 ? seconds : 0;
}

double clock_rate(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

/* The one mutable variable of the process: signal handlers have no argument. */
static volatile sig_atomic_t interrupted;

static void handle_both(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* A second signal, of either kind, ends the process as if no handler stood here. */
static void on_signal(int number) {
    (void)number;
    interrupted = 1;
    handle_both(SIG_DFL);
}

void interrupt_install(void) { handle_both(on_signal); }

bool interrupt_requested(void) { return interrupted != 0; }
