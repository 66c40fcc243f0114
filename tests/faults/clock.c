/* Preloaded by tests: with FATHOM_CLOCK=N the clocks jump at every Nth reading, up to ten hours
 * forward or back. Processor time does not. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static unsigned long long readings_per_jump;
static _Atomic unsigned long long readings;

__attribute__((constructor)) static void read_environment(void) {
    const char *text = getenv("FATHOM_CLOCK");
    readings_per_jump = text ? strtoull(text, NULL, 10) : 0;
}

/* Seconds in [-36000, 36000], the same for the same number (the mixing step of SplitMix64). */
static long long jump(unsigned long long number) {
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9ull;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebull;
    return (long long)((number ^ (number >> 31)) % 72001) - 36000;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now) {
    const long result = syscall(SYS_clock_gettime, clock, now);
    if (readings_per_jump == 0 || result != 0) return (int)result;
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) return 0;
    now->tv_sec += jump(1 + atomic_fetch_add(&readings, 1) / readings_per_jump);
    return 0;
}
