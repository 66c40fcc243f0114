#include "train/report.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "base/json.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/metrics_log.h"
#include "view/chart.h"
#include "view/heatmap.h"
#include "view/svg.h"

enum { WIDTH = 900, HEIGHT = 360, MAX_POINTS = 800, MAX_BINS = 160, MAX_SAMPLES = 24 };

struct run {
    const char *name;
    struct metrics_log log;
};

/* ---- curves ---- */

struct curve {
    const char *title, *unit;
    size_t offset; /* in struct metrics_row */
    bool has_points, is_log;
};
static const struct curve curves[] = {
    {"Training loss", "nats per token", offsetof(struct metrics_row, loss), false, false},
    {"Held-out loss", "nats per token", offsetof(struct metrics_row, heldout), true, false},
    {"Multi-token prediction loss", "nats per token", offsetof(struct metrics_row, mtp_loss), false,
     false},
    {"Gradient norm", "before clipping", offsetof(struct metrics_row, grad_norm), false, true},
    {"Learning rate", "", offsetof(struct metrics_row, learning_rate), false, false},
    {"Speed", "tokens per second", offsetof(struct metrics_row, tokens_per_second), false, false},
    {"Imbalance of the experts", "(largest load - mean) / mean, mean over layers",
     offsetof(struct metrics_row, violation), false, false},
    {"Experts without a token", "all layers", offsetof(struct metrics_row, dead), false, false},
};

/* Means of neighbours, so that at most MAX_POINTS are left. Returns how many. */
static size_t thin(double *x, double *y, size_t count) {
    const size_t group = (count + MAX_POINTS - 1) / MAX_POINTS;
    size_t left = 0;
    for (size_t at = 0; at < count; at += group, left++) {
        const size_t n = count - at < group ? count - at : group;
        double sum_x = 0, sum_y = 0;
        for (size_t i = at; i < at + n; i++) {
            sum_x += x[i];
            sum_y += y[i];
        }
        x[left] = sum_x / (double)n;
        y[left] = sum_y / (double)n;
    }
    return left;
}

static void fill_series(struct chart_series *series, const struct run *run,
                        const struct curve *curve, double *memory) {
    double *x = memory, *y = memory + run->log.count;
    size_t count = metrics_log_points(&run->log, curve->offset, x, y);
    if (!curve->has_points) count = thin(x, y, count);
    *series = (struct chart_series){
        .name = run->name, .x = x, .y = y, .count = count, .has_points = curve->has_points};
}

/* A chart with every run, unless none of them has a point. */
static void put_curve(struct text *out, const struct run *runs, size_t count,
                      const struct curve *curve, struct chart_series *series, double *memory) {
    size_t points = 0;
    for (size_t i = 0; i < count; i++) {
        fill_series(&series[i], &runs[i], curve, memory);
        memory += 2 * runs[i].log.count;
        points += series[i].count;
    }
    if (points == 0) return;
    const struct chart chart = {.title = curve->title,
                                .x_label = "tokens",
                                .y_label = curve->unit,
                                .series = series,
                                .count = count,
                                .is_log_y = curve->is_log};
    chart_svg(&chart, WIDTH, HEIGHT, out);
}

static fathom_status put_curves(struct text *out, const struct run *runs, size_t count,
                                struct error *err) {
    struct chart_series *series = NULL;
    double *memory = NULL;
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) rows += runs[i].log.count;
    fathom_status status = MEM_NEW(&series, count, "a report", err);
    if (status == FATHOM_OK) status = MEM_NEW(&memory, 2 * rows, "a report", err);
    for (size_t i = 0; status == FATHOM_OK && i < sizeof curves / sizeof curves[0]; i++)
        put_curve(out, runs, count, &curves[i], series, memory);
    mem_free(series);
    mem_free(memory);
    return status;
}

/* ---- experts ---- */

/* values[layer, bin]: mean violation of the rows that fall into a bin of steps. */
static void fill_bins(const struct metrics_log *log, size_t bins, double *values) {
    for (size_t layer = 0; layer < log->layers; layer++) {
        for (size_t bin = 0; bin < bins; bin++) {
            double sum = 0, n = 0;
            for (size_t i = bin * log->count / bins; i < (bin + 1) * log->count / bins; i++) {
                const double value = (double)log->violations[i * log->layers + layer];
                if (isnan(value)) continue;
                sum += value;
                n++;
            }
            values[layer * bins + bin] = n > 0 ? sum / n : NAN;
        }
    }
}

static fathom_status put_experts(struct text *out, const struct run *run, struct error *err) {
    const struct metrics_log *log = &run->log;
    const size_t bins = log->count < MAX_BINS ? log->count : MAX_BINS;
    double *values = NULL;
    if (log->layers == 0 || bins == 0) return FATHOM_OK;
    TRY(MEM_NEW(&values, log->layers * bins, "a report", err));
    fill_bins(log, bins, values);
    double high = 0.1;
    for (size_t i = 0; i < log->layers * bins; i++)
        if (values[i] > high) high = values[i];
    const struct heatmap map = {
        .title = "Imbalance of the experts by layer",
        .x_label = "tokens",
        .y_label = "MoE layer",
        .rows = log->layers,
        .columns = bins,
        .values = values,
        .low = 0,
        .high = high,
        .x_low = log->rows[0].tokens,
        .x_high = log->rows[log->count - 1].tokens,
    };
    heatmap_svg(&map, WIDTH, 120 + 24 * (int)log->layers, out);
    mem_free(values);
    return FATHOM_OK;
}

/* ---- samples ---- */

static void put_sample(struct text *out, const struct metrics_row *row) {
    char tokens[32];
    text_printf(out, "<tr><th>step %.0f, %s tokens</th><td class=\"sample\">", row->step,
                format_count(tokens, row->tokens));
    svg_escape(out, row->sample);
    text_append_string(out, "</td></tr>\n");
}

/* The texts drawn along the run: at most MAX_SAMPLES, evenly chosen, the last one always. */
static void put_samples(struct text *out, const struct metrics_log *log) {
    size_t samples = 0;
    for (size_t i = 0; i < log->count; i++) samples += log->rows[i].sample != NULL;
    if (samples == 0) return;
    const size_t step = (samples + MAX_SAMPLES - 1) / MAX_SAMPLES;
    size_t left = samples;
    text_append_string(out, "<h3>Samples</h3><table>\n");
    for (size_t i = 0; i < log->count; i++) {
        if (!log->rows[i].sample || --left % step != 0) continue;
        put_sample(out, &log->rows[i]);
    }
    text_append_string(out, "</table>\n");
}

/* ---- tables ---- */

static void put_cell(struct text *out, int digits, double value) {
    char number[32];
    snprintf(number, sizeof number, "%.*f", digits, value);
    text_printf(out, "<td>%s</td>", isnan(value) ? "" : number);
}

static void put_summary_row(struct text *out, const struct run *run) {
    const struct metrics_log *log = &run->log;
    double loss = NAN, heldout = NAN, best = NAN, seconds = 0, trained = 0, before = 0;
    double skipped = 0, spikes = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct metrics_row *row = &log->rows[i];
        if (!isnan(row->loss)) loss = row->loss;
        if (!isnan(row->heldout)) heldout = row->heldout;
        if (!isnan(row->heldout) && !(best <= row->heldout)) best = row->heldout;
        if (row->tokens_per_second > 0) {
            seconds += (row->tokens - before) / row->tokens_per_second;
            trained += row->tokens - before;
        }
        before = row->tokens;
        skipped += row->is_skipped;
        spikes += row->is_spike;
    }
    char tokens[32], time[32];
    text_append_string(out, "<tr><th>");
    svg_escape(out, run->name);
    text_append_string(out, "</th>");
    put_cell(out, 0, log->count > 0 ? log->rows[log->count - 1].step : 0);
    text_printf(out, "<td>%s</td>", format_count(tokens, before));
    put_cell(out, 4, loss);
    put_cell(out, 4, heldout);
    put_cell(out, 4, best);
    put_cell(out, 0, seconds > 0 ? trained / seconds : NAN);
    text_printf(out, "<td>%s</td>", format_duration(time, seconds));
    put_cell(out, 0, skipped);
    put_cell(out, 0, spikes);
    text_append_string(out, "</tr>\n");
}

static void put_summary(struct text *out, const struct run *runs, size_t count) {
    text_append_string(out,
                       "<table><tr><th>run</th><th>steps</th><th>tokens</th><th>loss</th>"
                       "<th>held-out</th><th>best held-out</th><th>tokens/s</th><th>time in steps"
                       "</th><th>skipped</th><th>spikes</th></tr>\n");
    for (size_t i = 0; i < count; i++) put_summary_row(out, &runs[i]);
    text_append_string(out, "</table>\n");
}

static void put_option(struct text *out, const char *key, const json_node *value) {
    text_append_string(out, "<tr><th>");
    svg_escape(out, key);
    text_append_string(out, "</th><td>");
    if (json_is_string(value))
        svg_escape(out, json_string(value, NULL));
    else if (json_is_bool(value))
        text_append_string(out, json_bool(value) ? "yes" : "no");
    else if (json_is_number(value))
        json_write_f64(out, json_real(value));
    text_append_string(out, "</td></tr>\n");
}

/* The options that the newest checkpoint recorded; a run may have none yet. */
static fathom_status put_options(struct text *out, const char *directory, struct error *err) {
    struct checkpoint checkpoint;
    const char *key = NULL;
    json_node *value = NULL;
    void *iterator = NULL;
    if (!checkpoint_exists(directory)) return FATHOM_OK;
    TRY(checkpoint_open(&checkpoint, directory, INT64_MAX, err));
    text_printf(out, "<details><summary>Options (checkpoint of step %lld)</summary><table>\n",
                (long long)checkpoint.step);
    while (json_next_member(state_options(checkpoint.state), &iterator, &key, &value))
        put_option(out, key, value);
    text_append_string(out, "</table></details>\n");
    checkpoint_close(&checkpoint);
    return FATHOM_OK;
}

/* ---- the page ---- */

static fathom_status put_page(struct text *out, const struct run *runs, size_t count,
                              struct error *err) {
    text_append_string(
        out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>fathom: ");
    for (size_t i = 0; i < count; i++) {
        text_append_string(out, i > 0 ? ", " : "");
        svg_escape(out, runs[i].name);
    }
    text_append_string(
        out, "</title>\n<style>:root{color-scheme:light dark}body{font-family:system-ui,sans-serif;"
             "max-width:920px;margin:2em auto;padding:0 1em}table{border-collapse:collapse;"
             "font-variant-numeric:tabular-nums}th,td{padding:.2em .7em;text-align:right;"
             "border-bottom:1px solid #8884}th:first-child{text-align:left}svg{display:block;"
             "margin:1em 0;max-width:100%;height:auto}.sample{text-align:left;"
             "white-space:pre-wrap}</style></head>\n<body><h1>Training</h1>\n");
    put_summary(out, runs, count);
    TRY(put_curves(out, runs, count, err));
    for (size_t i = 0; i < count; i++) {
        text_append_string(out, "<h2>");
        svg_escape(out, runs[i].name);
        text_append_string(out, "</h2>\n");
        TRY(put_experts(out, &runs[i], err));
        put_samples(out, &runs[i].log);
        TRY(put_options(out, runs[i].name, err));
    }
    text_append_string(out, "</body></html>\n");
    return text_check(out, err);
}

fathom_status report_html(const char *const *directories, size_t count, struct text *out,
                          struct error *err) {
    struct run *runs = NULL;
    TRY(MEM_NEW(&runs, count, "a report", err));
    fathom_status status = FATHOM_OK;
    for (size_t i = 0; i < count && status == FATHOM_OK; i++) {
        runs[i].name = directories[i];
        status = metrics_log_read(&runs[i].log, directories[i], err);
    }
    if (status == FATHOM_OK) status = put_page(out, runs, count, err);
    for (size_t i = 0; i < count; i++) metrics_log_free(&runs[i].log);
    mem_free(runs);
    return status;
}
