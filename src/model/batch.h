/* A ragged batch: a list of (sequence, first position, count), never a rectangle.
 *
 * Rows of the batch are tokens, sequence after sequence. The device arrays are prepared once per
 * batch; the host keeps the spans. A training batch carries the MTP modules' batches too: module k
 * (from 1) has, for a sequence of n tokens, n - k rows; row i combines the hidden state of row i of
 * the module before (0: the main model) with token i + k, and predicts token i + k + 1. */
#ifndef MODEL_BATCH_H
#define MODEL_BATCH_H

#include <stdint.h>

#include "backend/device.h"
#include "base/arena.h"

struct batch {
    int64_t tokens_count; /* T */
    int64_t span_count;
    struct span *spans;       /* [span_count], host */
    bool *keeps_all;          /* [span_count], host: no slot is dropped; NULL in inference */
    const int32_t *tokens;    /* [T], device */
    const int32_t *positions; /* [T], device */
};

/* What a loss head predicts at each row. */
struct predictions {
    const int32_t *targets; /* [T], device; < 0: none */
    const float *coef;      /* [T], device: weight of -log p in the loss */
    float *logp;            /* [T], device, out */
    float *entropy;         /* [T], device, out; may be NULL */
    int32_t *top;           /* [T], device, out: the most likely token; may be NULL */
};

struct mtp_batch {
    struct batch batch;
    struct predictions predictions;
    const int32_t *previous; /* [T], device: row of the module before */
};

struct train_batch {
    struct batch batch;
    struct predictions predictions;
    struct mtp_batch *mtp; /* [mtp_modules] */
    int64_t mtp_modules;
};

/* One sequence as the caller has it: tokens[0..count] of which the last is only a target. */
struct sequence {
    const int32_t *tokens; /* [count + 1], host; each in [0, V) */
    const float *coef; /* [count], host: coefficient of predicting tokens[i + 1]; NULL: `coef` */
    int64_t count;
    bool keeps_all_slots; /* where routed slots are dropped, none of this sequence is */
};
struct train_batch_options {
    double coef;            /* of each main prediction: 1 / tokens of the optimizer step */
    const double *mtp_coef; /* [modules] of each prediction of a module; NULL: 0 */
    int64_t modules;        /* D; 0: no MTP batches */
    int64_t vocab;          /* tokens are checked against it */
    bool wants_top;         /* fill predictions.top */
    bool wants_entropy;
};
/* Builds the batch in `arena` (device-visible host memory on the CPU; uploads elsewhere) and sends
 * it to the stream's device. Works on measuring arenas with a dry stream: contents are then not
 * read beyond each sequence's count. Module k uses coef[i + k] of a sequence that has its own. A
 * sequence of at most k tokens has no rows in module k. */
fathom_status train_batch_build(struct train_batch *out, const struct sequence *sequences,
                                int64_t count, const struct train_batch_options *options,
                                struct arena *host, struct arena *device, struct stream *stream,
                                struct error *err);

/* A batch for inference: span i continues a sequence at position first[i] with counts[i] tokens;
 * its keys and values are cache rows from cache_row[i]. Host arrays are copied. */
struct inference_part {
    const int32_t *tokens; /* [count], host */
    int64_t count;
    int64_t first;     /* position of tokens[0] */
    int64_t cache_row; /* row of position 0 in the KV cache */
};
fathom_status inference_batch_build(struct batch *out, const struct inference_part *parts,
                                    int64_t count, int64_t vocab, struct arena *host,
                                    struct arena *device, struct stream *stream, struct error *err);

#endif
