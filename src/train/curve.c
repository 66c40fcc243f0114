#include "train/curve.h"

#include <stddef.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/metrics_log.h"
#include "view/chart.h"

enum { SVG_WIDTH = 900, SVG_HEIGHT = 480 };

/* A column of the log as a series; its arrays are at most as long as the log. */
static fathom_status series_of(struct chart_series *series, const char *name,
                               const struct metrics_log *log, size_t offset, struct error *err) {
    double *x = NULL, *y = NULL;
    *series = (struct chart_series){.name = name};
    fathom_status status = MEM_NEW(&x, log->count, "a curve", err);
    if (status == FATHOM_OK) status = MEM_NEW(&y, log->count, "a curve", err);
    series->x = x;
    series->y = y;
    if (status == FATHOM_OK) series->count = metrics_log_points(log, offset, x, y);
    return status;
}

static void series_free(struct chart_series *series) {
    mem_free((double *)series->x);
    mem_free((double *)series->y);
}

static fathom_status write_svg(const char *directory, const struct chart *chart,
                               struct error *err) {
    struct text svg = {0};
    char *path = NULL;
    struct file_writer *file = NULL;
    chart_svg(chart, SVG_WIDTH, SVG_HEIGHT, &svg);
    fathom_status status = text_check(&svg, err);
    if (status == FATHOM_OK) status = path_join(&path, directory, "loss.svg", err);
    if (status == FATHOM_OK) status = file_writer_open(&file, path, err);
    if (status == FATHOM_OK) {
        file_writer_put(file, text_data(&svg), svg.size);
        status = file_writer_commit(file, err);
    }
    text_free(&svg);
    mem_free(path);
    return status;
}

fathom_status curve_draw(const char *directory, struct text *terminal, struct error *err) {
    struct chart_series series[2] = {{0}};
    struct metrics_log log;
    TRY(metrics_log_read(&log, directory, err));
    fathom_status status =
        series_of(&series[0], "training", &log, offsetof(struct metrics_row, loss), err);
    if (status == FATHOM_OK)
        status =
            series_of(&series[1], "held-out", &log, offsetof(struct metrics_row, heldout), err);
    series[1].has_points = true;
    const struct chart chart = {.title = "Loss, nats per token",
                                .x_label = "tokens",
                                .y_label = "nats per token",
                                .series = series,
                                .count = series[1].count > 0 ? 2 : 1};
    if (status == FATHOM_OK) status = write_svg(directory, &chart, err);
    if (status == FATHOM_OK && terminal) chart_terminal(&chart, 78, 16, true, terminal);
    series_free(&series[0]);
    series_free(&series[1]);
    metrics_log_free(&log);
    return status;
}
