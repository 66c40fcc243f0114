#include "train/watch.h"

#include <math.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/metrics_log.h"
#include "view/chart.h"

struct watched {
    const char *name;
    struct metrics_log log;
    int64_t steps; /* of the whole run; 0: not known yet */
    double age;    /* seconds since metrics.jsonl grew */
};

/* ---- reading ---- */

/* The record comes with the first checkpoint; what is wrong with one is not this picture's. */
static int64_t steps_of(const char *directory) {
    struct checkpoint checkpoint;
    int64_t steps = 0;
    if (checkpoint_open(&checkpoint, directory, INT64_MAX, NULL) != FATHOM_OK) return 0;
    json_get_i64(state_options(checkpoint.state), "steps", &steps, "the record", NULL);
    checkpoint_close(&checkpoint);
    return steps;
}

static double age_of(const char *directory, struct error *err) {
    char *path = NULL;
    struct stat info;
    double age = NAN;
    if (path_join(&path, directory, "metrics.jsonl", err) == FATHOM_OK && stat(path, &info) == 0)
        age = clock_wall() - (double)info.st_mtim.tv_sec - 1e-9 * (double)info.st_mtim.tv_nsec;
    mem_free(path);
    return age;
}

static fathom_status watched_read(struct watched *w, const char *directory, struct error *err) {
    w->name = directory;
    TRY(metrics_log_read(&w->log, directory, err));
    w->steps = steps_of(directory);
    w->age = age_of(directory, err);
    return FATHOM_OK;
}

/* ---- lines ---- */

/* The newest number in a column, or NaN. */
static double newest(const struct metrics_log *log, size_t offset) {
    for (size_t i = log->count; i > 0; i--) {
        const double value = *(const double *)((const char *)&log->rows[i - 1] + offset);
        if (!isnan(value)) return value;
    }
    return NAN;
}

/* Tokens per second over the last steps. */
static double recent_rate(const struct metrics_log *log) {
    enum { STEPS = 20 };
    double seconds = 0, tokens = 0;
    for (size_t i = log->count; i > 1 && log->count - i < STEPS; i--) {
        const struct metrics_row *row = &log->rows[i - 1];
        if (!(row->tokens_per_second > 0)) continue;
        tokens += row->tokens - row[-1].tokens;
        seconds += (row->tokens - row[-1].tokens) / row->tokens_per_second;
    }
    return seconds > 0 ? tokens / seconds
                       : newest(log, offsetof(struct metrics_row, tokens_per_second));
}

static void put_time_left(struct text *out, const struct watched *w, const struct metrics_row *last,
                          double rate) {
    char left[32];
    if (w->steps == 0 || !(rate > 0) || !(last->step > 0)) return;
    /* With a growing batch this is too early by what still grows. */
    const double tokens = last->tokens / last->step * ((double)w->steps - last->step);
    if (tokens > 0) text_printf(out, "  %s left", format_duration(left, tokens / rate));
}

static void put_state(struct text *out, const struct watched *w) {
    const struct metrics_log *log = &w->log;
    char number[32], age[32];
    text_printf(out, "%s: ", w->name);
    if (log->count == 0) {
        text_append_string(out, "waiting for the first step\n");
        return;
    }
    const struct metrics_row *last = &log->rows[log->count - 1];
    text_printf(out, "step %.0f", last->step);
    if (w->steps > 0) text_printf(out, "/%lld", (long long)w->steps);
    text_printf(out, "  %s tokens", format_count(number, last->tokens));
    const double rate = recent_rate(log);
    if (rate > 0) text_printf(out, "  %s tok/s", format_count(number, rate));
    const double share = newest(log, offsetof(struct metrics_row, peak_share));
    if (share > 0) text_printf(out, " (%.0f%% of peak)", 100 * share);
    put_time_left(out, w, last, rate);
    if (w->age >= 0) text_printf(out, "  last line %s ago", format_duration(age, w->age));
    text_append_char(out, '\n');
}

static void put_number(struct text *out, const struct metrics_log *log, const char *name,
                       const char *unit, size_t offset) {
    const double value = newest(log, offset);
    if (!isnan(value)) text_printf(out, "  %s %.4g%s", name, value, unit);
}

static void put_numbers(struct text *out, const struct metrics_log *log) {
    size_t skipped = 0, spikes = 0;
    for (size_t i = 0; i < log->count; i++) {
        skipped += log->rows[i].is_skipped;
        spikes += log->rows[i].is_spike;
    }
    put_number(out, log, "loss", "", offsetof(struct metrics_row, loss));
    put_number(out, log, "held-out", "", offsetof(struct metrics_row, heldout));
    put_number(out, log, "mtp", "", offsetof(struct metrics_row, mtp_loss));
    put_number(out, log, "lr", "", offsetof(struct metrics_row, learning_rate));
    put_number(out, log, "norm", "", offsetof(struct metrics_row, grad_norm));
    if (skipped > 0) text_printf(out, "  skipped %zu", skipped);
    if (spikes > 0) text_printf(out, "  spikes %zu", spikes);
    text_append_char(out, '\n');
}

/* A bar for each MoE layer's imbalance, of the newest line that has it. */
static void put_experts(struct text *out, const struct metrics_log *log, int columns) {
    enum { BAR = 30, MOST_LAYERS = 12 };
    const float *values = NULL;
    for (size_t i = log->count; i > 0 && log->layers > 0 && !values; i--)
        if (!isnan(log->violations[(i - 1) * log->layers]))
            values = log->violations + (i - 1) * log->layers;
    if (!values || columns < BAR + 24) return;
    text_append_string(out, "imbalance of the experts, (largest load - mean) / mean:\n");
    for (size_t layer = 0; layer < log->layers && layer < MOST_LAYERS; layer++) {
        const double value = (double)values[layer];
        const int length = (int)fmin(BAR, ceil(value * BAR / 2));
        text_printf(out, "  MoE layer %2zu %-*.*s %.2f\n", layer, BAR, length,
                    "##############################", value);
    }
    if (log->layers > MOST_LAYERS) text_printf(out, "  and %zu more\n", log->layers - MOST_LAYERS);
}

/* ---- curves ---- */

static fathom_status put_curves(struct text *out, const struct watched *runs, size_t count,
                                const struct watch_screen *screen, int rows, struct error *err) {
    const size_t series_count = count == 1 ? 2 : count; /* one run: its held-out loss too */
    struct chart_series *series = NULL;
    double *memory = NULL;
    size_t points = 0;
    for (size_t i = 0; i < count; i++) points += runs[i].log.count;
    fathom_status status = MEM_NEW(&series, series_count, "the picture", err);
    if (status == FATHOM_OK) status = MEM_NEW(&memory, 4 * points, "the picture", err);
    double *at = memory;
    for (size_t i = 0; status == FATHOM_OK && i < series_count; i++) {
        const struct watched *run = count == 1 ? runs : &runs[i];
        const bool is_heldout = count == 1 && i == 1;
        const size_t offset =
            is_heldout ? offsetof(struct metrics_row, heldout) : offsetof(struct metrics_row, loss);
        const size_t n = metrics_log_points(&run->log, offset, at, at + run->log.count);
        series[i] = (struct chart_series){.name = count > 1    ? run->name
                                                  : is_heldout ? "held-out"
                                                               : "training",
                                          .x = at,
                                          .y = at + run->log.count,
                                          .count = n,
                                          .has_points = is_heldout};
        at += 2 * run->log.count;
    }
    const bool has_heldout = status == FATHOM_OK && (count > 1 || series[1].count > 0);
    const struct chart chart = {.title = "Loss, nats per token",
                                .x_label = "tokens",
                                .y_label = "nats per token",
                                .series = series,
                                .count = has_heldout ? series_count : 1};
    if (status == FATHOM_OK && points > 0)
        chart_terminal(&chart, screen->columns, rows, screen->is_utf8, out);
    mem_free(series);
    mem_free(memory);
    return status;
}

/* ---- the picture ---- */

static fathom_status draw(const struct watched *runs, size_t count,
                          const struct watch_screen *screen, struct text *out, bool *is_over,
                          struct error *err) {
    enum { LINES_OF_RUN = 2, LINES_AROUND_CHART = 6, LEAST_ROWS = 4 };
    int lines = LINES_AROUND_CHART + LINES_OF_RUN * (int)count;
    *is_over = true;
    for (size_t i = 0; i < count; i++) {
        const struct metrics_log *log = &runs[i].log;
        const double step = log->count > 0 ? log->rows[log->count - 1].step : 0;
        if (runs[i].steps == 0 || step < (double)runs[i].steps) *is_over = false;
        put_state(out, &runs[i]);
        if (log->count > 0) put_numbers(out, log);
    }
    if (count == 1) lines += 2 + (int)runs[0].log.layers;
    const int rows = screen->rows - lines > LEAST_ROWS ? screen->rows - lines : LEAST_ROWS;
    TRY(put_curves(out, runs, count, screen, rows, err));
    if (count == 1) put_experts(out, &runs[0].log, screen->columns);
    return text_check(out, err);
}

fathom_status watch_draw(const char *const *directories, size_t count,
                         const struct watch_screen *screen, struct text *out, bool *is_over,
                         struct error *err) {
    struct watched *runs = NULL;
    fathom_status status = MEM_NEW(&runs, count, "the picture", err);
    for (size_t i = 0; status == FATHOM_OK && i < count; i++)
        status = watched_read(&runs[i], directories[i], err);
    if (status == FATHOM_OK) status = draw(runs, count, screen, out, is_over, err);
    for (size_t i = 0; runs && i < count; i++) metrics_log_free(&runs[i].log);
    mem_free(runs);
    return status;
}
