/* Cross-entropy of a chunk of logits (backend/ops.h). The operands are checked (a failure latches
 * on the stream) and nothing is done on a stream that has failed. ops/loss_head.h goes from hidden
 * states to the loss and back without ever holding all logits. */
#ifndef OPS_LOSS_H
#define OPS_LOSS_H

#include "backend/device.h"

void ops_cross_entropy(struct stream *stream, const struct op_cross_entropy *op);

#endif
