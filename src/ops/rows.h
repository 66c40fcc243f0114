/* Operations that treat rows one by one, and their gradients. Each function checks its operands (a
 * failure latches on the stream) and does nothing on a stream that has failed; backend/ops.h has
 * the formulas and shapes. */
#ifndef OPS_ROWS_H
#define OPS_ROWS_H

#include "backend/device.h"

void ops_round(struct stream *stream, const struct op_round *op);
void ops_rmsnorm_fwd(struct stream *stream, const struct op_rmsnorm_fwd *op);
void ops_rmsnorm_bwd(struct stream *stream, const struct op_rmsnorm_bwd *op);
void ops_rope_table(struct stream *stream, const struct op_rope_table *op);
void ops_rope(struct stream *stream, const struct op_rope *op);
void ops_swiglu_fwd(struct stream *stream, const struct op_swiglu_fwd *op);
void ops_swiglu_bwd(struct stream *stream, const struct op_swiglu_bwd *op);
void ops_add(struct stream *stream, const struct op_add *op);
void ops_sum_rows(struct stream *stream, const struct op_sum_rows *op);
void ops_softmax_fwd(struct stream *stream, const struct op_softmax_fwd *op);
void ops_softmax_bwd(struct stream *stream, const struct op_softmax_bwd *op);
void ops_embedding_fwd(struct stream *stream, const struct op_embedding_fwd *op);
void ops_embedding_bwd(struct stream *stream, const struct op_embedding_bwd *op);

#endif
