/* metrics.jsonl, read back: for curves, reports and watching a run. */
#ifndef TRAIN_METRICS_LOG_H
#define TRAIN_METRICS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* One step; NaN where the line does not have it (a skipped step has step and tokens only). */
struct metrics_row {
    double step, tokens;
    double loss, mtp_loss, heldout;
    double learning_rate, grad_norm;
    double tokens_per_second, gflops, peak_share;
    double violation; /* mean over MoE layers */
    double dead;      /* experts without a token, all layers */
    bool is_skipped, is_spike;
    char *sample; /* the text drawn then, or NULL */
};

struct metrics_log {
    struct metrics_row *rows; /* [count], in the order of the file */
    size_t count;
    size_t layers;     /* MoE layers: of the first line that has them */
    float *violations; /* [count, layers]; NaN where a line has none */
};

/* Reads DIR/metrics.jsonl; a last line without its end, which a run may be writing, is left out.
 * FATHOM_BAD_INPUT with the line's number for one that is no JSON object. */
fathom_status metrics_log_read(struct metrics_log *log, const char *directory, struct error *err);
void metrics_log_free(struct metrics_log *log); /* safe on a zeroed one */

/* The rows that have a number in the column at `offset` of struct metrics_row: their tokens and
 * that number, into arrays [count]. Returns how many. */
size_t metrics_log_points(const struct metrics_log *log, size_t offset, double *tokens,
                          double *values);

#endif
