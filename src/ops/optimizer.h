/* The optimizer's operations and the norm over all gradients. Each function checks its operands (a
 * failure latches on the stream) and does nothing on a stream that has failed; backend/ops.h has
 * the formulas and shapes. */
#ifndef OPS_OPTIMIZER_H
#define OPS_OPTIMIZER_H

#include "backend/device.h"

void ops_adamw(struct stream *stream, const struct op_adamw *op);
void ops_lerp(struct stream *stream, const struct op_lerp *op);
void ops_sumsq(struct stream *stream, const struct op_sumsq *op);

/* The two halves of ops_norm, for tensors that lie on several ranks: chunk sums of one tensor, and
 * the norm from all `count` of them, which lie one behind the other. */
void ops_norm_chunks(struct stream *stream, struct tensor x, double *partial);
double ops_norm_total(struct stream *stream, const double *partial, double *host, int64_t count);

/* sqrt(sum of squares) over a list of tensors. Each tensor is cut into chunks of SUMSQ_CHUNK
 * elements from its beginning, and the chunks' sums are added in the order of the list, in double:
 * the result does not depend on who holds which chunk. */
struct op_norm {
    const struct tensor *tensors; /* [count], each without gaps between rows */
    int64_t count;
    double *partial; /* device workspace [ops_norm_partials] */
    double *host;    /* host workspace [ops_norm_partials] */
};
int64_t ops_norm_partials(const struct tensor *tensors, int64_t count);
/* Waits for the stream. 0 on a stream that has failed. */
double ops_norm(struct stream *stream, const struct op_norm *op);

#endif
