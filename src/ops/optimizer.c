#include "ops/optimizer.h"

#include <math.h>

#include "ops/check.h"

void ops_adamw(struct stream *stream, const struct op_adamw *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "adamw"};
    const int64_t n = op->p.cols;
    check_tensor(&check, "p", op->p, 1, ANY);
    check_tensor(&check, "g", op->g, 1, n);
    const enum dtype moments = op->m.dtype == DTYPE_BF16 ? DTYPE_BF16 : stream->device->compute;
    check_tensor_of(&check, "m", op->m, 1, n, moments);
    check_tensor_of(&check, "v", op->v, 1, n, moments);
    check_apart(&check, CHECK_LIST(OPERAND(p), OPERAND(m), OPERAND(v)), CHECK_LIST(OPERAND(g)));
    if (!(op->correction1 > 0 && op->correction2 > 0))
        stream_fail(stream, FATHOM_USAGE, "adamw: the corrections are %g and %g, expected > 0",
                    op->correction1, op->correction2);
    if (stream_failed(stream) || n == 0) return;
    stream->device->ops->adamw(stream, op);
}

void ops_lerp(struct stream *stream, const struct op_lerp *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "lerp"};
    check_tensor(&check, "y", op->y, 1, ANY);
    check_tensor(&check, "x", op->x, 1, op->y.cols);
    check_apart(&check, CHECK_LIST(OPERAND(y)), CHECK_LIST(OPERAND(x)));
    if (!(op->weight >= 0 && op->weight <= 1))
        stream_fail(stream, FATHOM_USAGE, "lerp: the weight is %g, expected 0 to 1", op->weight);
    if (stream_failed(stream) || op->y.cols == 0) return;
    stream->device->ops->lerp(stream, op);
}

static int64_t chunks(int64_t n) { return (n + SUMSQ_CHUNK - 1) / SUMSQ_CHUNK; }

void ops_sumsq(struct stream *stream, const struct op_sumsq *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "sumsq"};
    check_tensor(&check, "x", op->x, 1, ANY);
    check_array(&check, "partial", op->partial, chunks(op->x.cols));
    if (stream_failed(stream) || op->x.cols == 0) return;
    stream->device->ops->sumsq(stream, op);
}

int64_t ops_norm_partials(const struct tensor *tensors, int64_t count) {
    int64_t total = 0;
    for (int64_t i = 0; i < count; i++) total += chunks(tensor_count(tensors[i]));
    return total;
}

void ops_norm_chunks(struct stream *stream, struct tensor x, double *partial) {
    const struct check check = {stream, "norm"};
    if (stream_failed(stream)) return;
    check_contiguous(&check, "a tensor", x);
    if (tensor_count(x) == 0) return;
    ops_sumsq(stream,
              &(struct op_sumsq){.partial = partial, .x = tensor_reshape(x, tensor_count(x))});
}

double ops_norm_total(struct stream *stream, const double *partial, double *host, int64_t count) {
    stream_download(stream, host, partial, (size_t)count * sizeof(double));
    stream->device->driver->wait(stream);
    if (stream_failed(stream)) return 0;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += host[i];
    return sqrt(sum);
}

double ops_norm(struct stream *stream, const struct op_norm *op) {
    double *partial = op->partial;
    for (int64_t i = 0; i < op->count; i++) {
        ops_norm_chunks(stream, op->tensors[i], partial);
        partial += chunks(tensor_count(op->tensors[i]));
    }
    return ops_norm_total(stream, op->partial, op->host, ops_norm_partials(op->tensors, op->count));
}
