/* Messages and progress for people, on stderr, through a sink that the engine owns. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdio.h>

enum log_level { LOG_QUIET, LOG_INFO, LOG_DEBUG };

struct log {
    FILE *stream;         /* where lines go, normally stderr; NULL: nowhere */
    enum log_level level; /* lines above this level are dropped */
    bool is_terminal; /* progress is redrawn in place, else printed as plain lines now and then */
    double last_progress; /* clock_seconds() of the last progress line; owned by log_progress */
    bool progress_shown;  /* a progress line stands on the terminal and must be cleared first */
};

void log_init(struct log *log, FILE *stream, enum log_level level);
/* One line; ends a standing progress line first. */
void log_line(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A progress line: on a terminal redrawn in place at most 10 times a second, elsewhere a plain line
 * at most every 10 seconds. `last` prints whatever the time and ends the line. */
void log_progress(struct log *log, bool last, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
