/* fathom watch: training runs as they go, in the terminal */
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "command.h"
#include "terminal.h"
#include "train/watch.h"

struct watch_options {
    double every;
    bool once;
};
static const struct option rows[] = {
    {"every", OPTION_FLOAT, offsetof(struct watch_options, every), 0.1, 3600, "2", NULL, "SECONDS",
     "between looks", false, false},
    {"once", OPTION_FLAG, offsetof(struct watch_options, once), 0, 0, NULL, NULL, NULL,
     "draw once and end, as where standard output is no terminal", false, false},
};
static const struct option_table table = {
    "watch",
    "Follow training runs in the terminal: progress, loss, balance of the experts.",
    "DIR...",
    "A DIR is what pretrain --out makes. It ends with the runs, or with Ctrl-C.\n"
    "Example: fathom watch run",
    rows,
    sizeof rows / sizeof rows[0]};

static struct watch_screen screen_of(FILE *out) {
    struct winsize size;
    struct watch_screen screen = {.columns = 80, .rows = 30, .is_utf8 = terminal_has_utf8()};
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        screen.columns = size.ws_col;
        screen.rows = size.ws_row;
    }
    return screen;
}

/* Sleeps in pieces, so that an interrupt is seen soon. */
static void wait_for(double seconds) {
    const double end = clock_seconds() + seconds;
    while (!interrupt_requested() && clock_seconds() < end)
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
}

static fathom_status watch(struct command *command, const struct watch_options *o,
                           const char *const *directories, int count) {
    struct error *err = command->err;
    const bool is_terminal = isatty(fileno(command->out)) != 0;
    bool is_over = false;
    fathom_status status = FATHOM_OK;
    if (count == 0) RAISE(FATHOM_USAGE, "watch needs the directory of a run");
    for (;;) {
        struct text picture = {0};
        const struct watch_screen screen = screen_of(command->out);
        if (is_terminal && !o->once) text_append_string(&picture, "\033[H\033[J");
        status = watch_draw(directories, (size_t)count, &screen, &picture, &is_over, err);
        if (status == FATHOM_OK) fputs(text_data(&picture), command->out);
        fflush(command->out);
        text_free(&picture);
        if (status != FATHOM_OK || o->once || !is_terminal || is_over) return status;
        wait_for(o->every);
        if (interrupt_requested()) return FATHOM_OK;
    }
}

fathom_status command_watch(struct command *command) {
    struct watch_options o = {0};
    struct option_given given = {0};
    int count = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &count, &is_done);
    if (status == FATHOM_OK && !is_done)
        status = watch(command, &o, (const char *const *)command->argv, count);
    options_free(&table, &o);
    return status;
}
