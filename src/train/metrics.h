/* What a run leaves behind: metrics.jsonl (one object a step) and a TensorBoard event file. Both
 * are appended to; a resumed run first cuts what lies beyond its step out of metrics.jsonl and
 * begins a new event file, which TensorBoard reads as a continuation. */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "train/trainer.h"

/* One dataset of several. */
struct metrics_source {
    const char *name;
    int64_t tokens; /* seen so far */
    double heldout; /* NaN: not measured at this step */
};

/* One line of metrics.jsonl. */
struct metrics_line {
    int64_t step; /* optimizer steps done, from 1 */
    int64_t tokens_seen;
    double tokens_per_step;
    double seconds; /* of this step; 0: not known, the clock went back */
    double flops;   /* useful ones of this step */
    double peak;    /* FLOP/s of the machine's FMA units; 0: not measured */
    const struct step_metrics *metrics;
    double heldout;            /* nats per token on held-out data; NaN: not measured at this step */
    const struct text *sample; /* a text drawn after this step, or NULL */
    bool is_spike;             /* of the training loss */
    const struct metrics_source *sources; /* [source_count]; none where the data are one dataset */
    size_t source_count;
};

struct metrics;
/* Opens DIR/metrics.jsonl and DIR/events.out.tfevents.*; lines with a step above `last_step` are
 * dropped (0: a new run). */
fathom_status metrics_open(struct metrics **out, const char *directory, int64_t last_step,
                           struct error *err);
/* Fails for want of memory only: see metrics_sync. */
fathom_status metrics_put(struct metrics *metrics, const struct metrics_line *line,
                          struct error *err);
/* The line of a step that was not trained on, with the reason. */
fathom_status metrics_put_skipped(struct metrics *metrics, int64_t step, int64_t tokens_seen,
                                  const char *reason, struct error *err);
/* Flushes to disk. What could not be written before is kept in memory and tried again; it is an
 * error only when it fails once more. */
fathom_status metrics_sync(struct metrics *metrics, struct error *err);
void metrics_close(struct metrics *metrics); /* accepts NULL */

#endif
