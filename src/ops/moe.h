/* The gate, its balance loss, and the way of tokens to experts and back. Each function checks its
 * operands (a failure latches on the stream) and does nothing on a stream that has failed;
 * backend/ops.h has the formulas and shapes. */
#ifndef OPS_MOE_H
#define OPS_MOE_H

#include "backend/device.h"

void ops_gate_fwd(struct stream *stream, const struct op_gate_fwd *op);
void ops_gate_bwd(struct stream *stream, const struct op_gate_bwd *op);
void ops_balance_fwd(struct stream *stream, const struct op_balance_fwd *op);
void ops_moe_drop(struct stream *stream, const struct op_moe_drop *op);
void ops_moe_plan(struct stream *stream, const struct op_moe_plan *op);
void ops_moe_combine(struct stream *stream, const struct op_moe_combine *op);

#endif
