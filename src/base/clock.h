/* Time. clock_seconds is monotonic and for durations; clock_wall is for timestamps only. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>

double clock_seconds(void);         /* since an arbitrary start, monotonic */
double clock_wall(void);            /* since 1970, UTC */
double clock_process_seconds(void); /* processor time of all threads */
/* Seconds since a reading of clock_seconds; 0 where the clock went back. */
double clock_since(double begin);
/* So much in so many seconds, per second; 0 where no time has passed. */
double clock_rate(double amount, double seconds);

/* SIGINT and SIGTERM set a flag that long work polls. A second signal has the default effect, so
 * that a person can always get out. Programs install this; the library only reads it through the
 * pointer that it is given. */
void interrupt_install(void);
bool interrupt_requested(void);

#endif
