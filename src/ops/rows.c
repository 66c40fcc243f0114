#include "ops/rows.h"

#include "ops/check.h"

void ops_round(struct stream *stream, const struct op_round *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "round"};
    check_tensor(&check, "x", op->x, ANY, ANY);
    check_tensor(&check, "y", op->y, op->x.rows, op->x.cols);
    check_range(&check, "rounding", op->rounding, ROUND_BF16, ROUND_COUNT - 1);
    check_alias(&check, (struct operand)OPERAND(y), (struct operand)OPERAND(x));
    if (stream_failed(stream) || tensor_count(op->x) == 0) return;
    stream->device->ops->round(stream, op);
}

void ops_rmsnorm_fwd(struct stream *stream, const struct op_rmsnorm_fwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "rmsnorm"};
    const int64_t T = op->x.rows, C = op->x.cols;
    check_at_least(&check, "x", op->x, 0, 1);
    check_tensor(&check, "y", op->y, T, C);
    check_tensor(&check, "w", op->w, 1, C);
    check_optional(&check, "rstd", op->rstd, T, 1);
    check_apart(&check, CHECK_LIST(OPERAND(y), OPERAND(rstd)), CHECK_LIST(OPERAND(w)));
    check_apart(&check, CHECK_LIST(OPERAND(rstd)), CHECK_LIST(OPERAND(x)));
    check_alias(&check, (struct operand)OPERAND(y), (struct operand)OPERAND(x));
    if (stream_failed(stream) || T == 0) return;
    stream->device->ops->rmsnorm_fwd(stream, op);
}

void ops_rmsnorm_bwd(struct stream *stream, const struct op_rmsnorm_bwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "rmsnorm backward"};
    const int64_t T = op->x.rows, C = op->x.cols;
    check_at_least(&check, "x", op->x, 0, 1);
    check_tensor(&check, "dx", op->dx, T, C);
    check_tensor(&check, "dw", op->dw, 1, C);
    check_tensor(&check, "dy", op->dy, T, C);
    check_tensor(&check, "w", op->w, 1, C);
    check_tensor(&check, "rstd", op->rstd, T, 1);
    check_optional(&check, "add", op->add, T, C);
    check_apart(&check, CHECK_LIST(OPERAND(dx), OPERAND(dw)),
                CHECK_LIST(OPERAND(x), OPERAND(w), OPERAND(rstd)));
    check_apart(&check, CHECK_LIST(OPERAND(dw)), CHECK_LIST(OPERAND(dy), OPERAND(add)));
    check_alias(&check, (struct operand)OPERAND(dx), (struct operand)OPERAND(dy));
    check_alias(&check, (struct operand)OPERAND(dx), (struct operand)OPERAND(add));
    if (stream_failed(stream) || T == 0) return;
    stream->device->ops->rmsnorm_bwd(stream, op);
}

void ops_rope_table(struct stream *stream, const struct op_rope_table *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "rope_table"};
    const int64_t T = op->cos.rows, pairs = op->cos.cols;
    check_at_least(&check, "cos", op->cos, 0, 1);
    check_tensor(&check, "sin", op->sin, T, pairs);
    check_array(&check, "positions", op->positions, T);
    check_array(&check, "frequency", op->frequency, pairs);
    check_apart(&check, CHECK_LIST(OPERAND(cos), OPERAND(sin)), NULL, 0);
    if (stream_failed(stream) || T == 0) return;
    stream->device->ops->rope_table(stream, op);
}

void ops_rope(struct stream *stream, const struct op_rope *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "rope"};
    const int64_t T = op->x.rows, Dr = 2 * op->cos.cols;
    check_range(&check, "heads", op->heads, 0, INT32_MAX);
    check_at_least(&check, "cos", op->cos, T, 1);
    check_tensor(&check, "cos", op->cos, T, ANY);
    check_tensor(&check, "sin", op->sin, T, op->cos.cols);
    if (op->heads > 1) check_range(&check, "head_stride", op->head_stride, Dr, INT64_MAX);
    if (stream_failed(stream) || T == 0 || op->heads == 0) return;
    check_at_least(&check, "x", op->x, T, (op->heads - 1) * op->head_stride + Dr);
    check_apart(&check, CHECK_LIST(OPERAND(x)), CHECK_LIST(OPERAND(cos), OPERAND(sin)));
    if (stream_failed(stream)) return;
    stream->device->ops->rope(stream, op);
}

void ops_swiglu_fwd(struct stream *stream, const struct op_swiglu_fwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "swiglu"};
    const int64_t N = op->y.rows, F = op->y.cols;
    check_tensor(&check, "y", op->y, N, F);
    check_tensor(&check, "g", op->g, N, F);
    check_tensor(&check, "u", op->u, N, F);
    check_apart(&check, CHECK_LIST(OPERAND(y)), CHECK_LIST(OPERAND(g), OPERAND(u)));
    if (stream_failed(stream) || N == 0 || F == 0) return;
    stream->device->ops->swiglu_fwd(stream, op);
}

void ops_swiglu_bwd(struct stream *stream, const struct op_swiglu_bwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "swiglu backward"};
    const int64_t N = op->dz.rows, F = op->dz.cols;
    const bool has_weight = !tensor_is_absent(op->weight);
    check_at_least(&check, "dz", op->dz, 0, 1);
    check_tensor(&check, "dg", op->dg, N, F);
    check_tensor(&check, "du", op->du, N, F);
    check_tensor(&check, "g", op->g, N, F);
    check_tensor(&check, "u", op->u, N, F);
    check_optional(&check, "wy", op->wy, N, F);
    if (has_weight) {
        check_at_least(&check, "weight", op->weight, op->slot ? 0 : N, 1);
        check_tensor(&check, "weight", op->weight, ANY, 1);
        check_tensor(&check, "dweight", op->dweight, op->weight.rows, 1);
        check_contiguous(&check, "weight", op->weight);
        check_contiguous(&check, "dweight", op->dweight);
    } else if (!tensor_is_absent(op->dweight)) {
        stream_fail(stream, FATHOM_USAGE, "swiglu backward: dweight is given without weight");
    }
    check_apart(&check, CHECK_LIST(OPERAND(dg), OPERAND(du), OPERAND(wy), OPERAND(dweight)),
                CHECK_LIST(OPERAND(g), OPERAND(u), OPERAND(weight)));
    check_apart(&check, CHECK_LIST(OPERAND(dg), OPERAND(du), OPERAND(dweight)),
                CHECK_LIST(OPERAND(dz)));
    check_alias(&check, (struct operand)OPERAND(wy), (struct operand)OPERAND(dz));
    if (stream_failed(stream) || N == 0) return;
    stream->device->ops->swiglu_bwd(stream, op);
}

void ops_add(struct stream *stream, const struct op_add *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "add"};
    check_tensor(&check, "y", op->y, ANY, ANY);
    check_tensor(&check, "a", op->a, op->y.rows, op->y.cols);
    check_tensor(&check, "b", op->b, op->y.rows, op->y.cols);
    check_alias(&check, (struct operand)OPERAND(y), (struct operand)OPERAND(a));
    check_alias(&check, (struct operand)OPERAND(y), (struct operand)OPERAND(b));
    if (stream_failed(stream) || tensor_count(op->y) == 0) return;
    stream->device->ops->add(stream, op);
}

void ops_sum_rows(struct stream *stream, const struct op_sum_rows *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "sum_rows"};
    check_tensor(&check, "x", op->x, ANY, ANY);
    check_tensor(&check, "y", op->y, 1, op->x.cols);
    check_apart(&check, CHECK_LIST(OPERAND(y)), CHECK_LIST(OPERAND(x)));
    if (stream_failed(stream) || tensor_count(op->x) == 0) return;
    stream->device->ops->sum_rows(stream, op);
}

void ops_softmax_fwd(struct stream *stream, const struct op_softmax_fwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "softmax"};
    check_at_least(&check, "x", op->x, 0, 1);
    check_tensor(&check, "y", op->y, op->x.rows, op->x.cols);
    check_alias(&check, (struct operand)OPERAND(y), (struct operand)OPERAND(x));
    if (stream_failed(stream) || op->x.rows == 0) return;
    stream->device->ops->softmax_fwd(stream, op);
}

void ops_softmax_bwd(struct stream *stream, const struct op_softmax_bwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "softmax backward"};
    check_at_least(&check, "y", op->y, 0, 1);
    check_tensor(&check, "dx", op->dx, op->y.rows, op->y.cols);
    check_tensor(&check, "dy", op->dy, op->y.rows, op->y.cols);
    check_apart(&check, CHECK_LIST(OPERAND(dx)), CHECK_LIST(OPERAND(y)));
    check_alias(&check, (struct operand)OPERAND(dx), (struct operand)OPERAND(dy));
    if (stream_failed(stream) || op->y.rows == 0) return;
    stream->device->ops->softmax_bwd(stream, op);
}

void ops_embedding_fwd(struct stream *stream, const struct op_embedding_fwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "embedding"};
    check_tensor(&check, "y", op->y, ANY, ANY);
    check_at_least(&check, "w", op->w, 1, 1);
    check_tensor(&check, "w", op->w, ANY, op->y.cols);
    check_array(&check, "tokens", op->tokens, op->y.rows);
    check_apart(&check, CHECK_LIST(OPERAND(y)), CHECK_LIST(OPERAND(w)));
    if (stream_failed(stream) || op->y.rows == 0) return;
    stream->device->ops->embedding_fwd(stream, op);
}

void ops_embedding_bwd(struct stream *stream, const struct op_embedding_bwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "embedding backward"};
    check_tensor(&check, "dy", op->dy, ANY, ANY);
    check_at_least(&check, "dw", op->dw, 1, 1);
    check_tensor(&check, "dw", op->dw, ANY, op->dy.cols);
    check_array(&check, "tokens", op->tokens, op->dy.rows);
    check_apart(&check, CHECK_LIST(OPERAND(dw)), CHECK_LIST(OPERAND(dy)));
    if (stream_failed(stream) || op->dy.rows == 0) return;
    stream->device->ops->embedding_bwd(stream, op);
}
