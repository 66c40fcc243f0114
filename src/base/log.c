#include "base/log.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static const double redraw_seconds = 0.1, plain_seconds = 10;

void log_init(struct log *log, FILE *stream, enum log_level level) {
    *log = (struct log){.stream = stream, .level = level, .last_progress = -1e9};
    log->is_terminal = stream && isatty(fileno(stream));
}

static void clear_progress(struct log *log) {
    if (log->progress_shown) fputs("\r\033[K", log->stream);
    log->progress_shown = false;
}

void log_line(struct log *log, enum log_level level, const char *format, ...) {
    if (!log->stream || level > log->level) return;
    va_list args;
    va_start(args, format);
    clear_progress(log);
    vfprintf(log->stream, format, args);
    fputc('\n', log->stream);
    fflush(log->stream);
    va_end(args);
}

void log_progress(struct log *log, bool last, const char *format, ...) {
    if (!log->stream || log->level < LOG_INFO) return;
    double now = clock_seconds();
    double pause = log->is_terminal ? redraw_seconds : plain_seconds;
    double passed = now - log->last_progress; /* negative: the clock went back */
    if (!last && passed >= 0 && passed < pause) return;
    log->last_progress = now;
    va_list args;
    va_start(args, format);
    clear_progress(log);
    vfprintf(log->stream, format, args);
    if (log->is_terminal && !last)
        log->progress_shown = true;
    else
        fputc('\n', log->stream);
    fflush(log->stream);
    va_end(args);
}
