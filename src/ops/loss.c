#include "ops/loss.h"

#include "ops/check.h"

void ops_cross_entropy(struct stream *stream, const struct op_cross_entropy *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "cross_entropy"};
    const int64_t n = op->logits.rows;
    check_at_least(&check, "logits", op->logits, 0, 1);
    check_range(&check, "V", op->logits.cols, 1, INT32_MAX);
    check_array(&check, "targets", op->targets, n);
    check_array(&check, "logp", op->logp, n);
    if (op->is_gradient_wanted) check_array(&check, "coef", op->coef, n);
    if (stream_failed(stream) || n == 0) return;
    stream->device->ops->cross_entropy(stream, op);
}
