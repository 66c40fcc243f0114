#include "cpu/ref/ref.h"
#include "num/dtype.h"

/* Element i of a moment. */
static real moment_get(struct tensor x, int64_t i) {
    return x.dtype == DTYPE_BF16 ? (real)bf16_to_f32(((const uint16_t *)x.data)[i])
                                 : ref_row(x, 0)[i];
}
static void moment_put(struct tensor x, int64_t i, real value) {
    if (x.dtype == DTYPE_BF16)
        ((uint16_t *)x.data)[i] = f32_to_bf16((float)value);
    else
        ref_row(x, 0)[i] = value;
}

/* m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 * p -= lr * ( (m/c1) / (sqrt(v/c2) + eps) + decay * p ) */
void REF(adamw)(struct stream *stream, const struct op_adamw *op) {
    (void)stream;
    real *p = ref_row(op->p, 0);
    for (int64_t i = 0; i < op->p.cols; i++) {
        const real g = ref_row(op->g, 0)[i] * (real)op->grad_scale;
        const real m = (real)op->beta1 * moment_get(op->m, i) + (real)(1 - op->beta1) * g;
        const real v = (real)op->beta2 * moment_get(op->v, i) + (real)(1 - op->beta2) * g * g;
        const real mean = m / (real)op->correction1;
        const real deviation = real_sqrt(v / (real)op->correction2) + (real)op->eps;
        moment_put(op->m, i, m);
        moment_put(op->v, i, v);
        p[i] -= (real)op->lr * (mean / deviation + (real)op->decay * p[i]);
    }
}

/* y += weight * (x - y) */
void REF(lerp)(struct stream *stream, const struct op_lerp *op) {
    (void)stream;
    real *y = ref_row(op->y, 0);
    const real *x = ref_row(op->x, 0);
    for (int64_t i = 0; i < op->y.cols; i++) y[i] += (real)op->weight * (x[i] - y[i]);
}

void REF(sumsq)(struct stream *stream, const struct op_sumsq *op) {
    (void)stream;
    const real *x = ref_row(op->x, 0);
    for (int64_t i = 0; i < op->x.cols; i++) {
        if (i % SUMSQ_CHUNK == 0) op->partial[i / SUMSQ_CHUNK] = 0;
        op->partial[i / SUMSQ_CHUNK] += (double)x[i] * (double)x[i];
    }
}
