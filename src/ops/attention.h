/* Causal attention over ragged spans. Each function checks its operands (a failure latches on the
 * stream) and does nothing on a stream that has failed; backend/ops.h has the formulas and shapes.
 */
#ifndef OPS_ATTENTION_H
#define OPS_ATTENTION_H

#include "backend/device.h"

void ops_attention_fwd(struct stream *stream, const struct op_attention_fwd *op);
void ops_attention_bwd(struct stream *stream, const struct op_attention_bwd *op);

#endif
