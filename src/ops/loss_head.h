/* The loss head: from hidden states to each token's log-probability and back, chunk by chunk, so
 * that [T, V] logits never exist.
 *
 *   logits = hidden weight^T;  l = log softmax(logits);  logp = l[target]
 *   loss = -sum_t coef_t logp_t:  dlogits = coef (softmax - onehot)
 *   dhidden = dlogits weight,  dweight += dlogits^T hidden
 *
 * A row's results do not depend on the chunk, and dweight adds rows in ascending order with one
 * accumulator, so it does not either: every chunk size gives the same bits. */
#ifndef OPS_LOSS_HEAD_H
#define OPS_LOSS_HEAD_H

#include "ops/product.h"

struct op_loss_head {
    struct tensor hidden;   /* [T, D] */
    struct tensor weight;   /* [V, D] */
    const int32_t *targets; /* [T]; < 0: no prediction at this row */
    const float *coef;      /* [T]; may be NULL without gradients */
    float *logp;            /* [T] out */
    float *entropy;         /* [T] out; may be NULL */
    int32_t *top;           /* [T] out: the most likely token; may be NULL */
    struct tensor dhidden;  /* [T, D] out; may alias hidden; absent: not wanted */
    struct tensor dweight;  /* [V, D] +=; absent: not wanted */
    struct tensor logits;   /* workspace [chunk, V] */
    int64_t chunk;          /* rows at a time */
    enum precision precision;
};
void ops_loss_head(struct stream *stream, const struct op_loss_head *op);

#endif
