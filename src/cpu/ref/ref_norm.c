/* Operations that sum over a row: RMSNorm and softmax. */
#include "cpu/ref/ref.h"

/* y = x / sqrt(mean(x^2) + eps) * w */
void REF(rmsnorm_fwd)(struct stream *stream, const struct op_rmsnorm_fwd *op) {
    (void)stream;
    const int64_t T = op->x.rows, C = op->x.cols;
    const real *w = ref_row(op->w, 0);
    for (int64_t t = 0; t < T; t++) {
        const real *x = ref_row(op->x, t);
        real *y = ref_row(op->y, t);
        real sum = 0;
        for (int64_t i = 0; i < C; i++) sum += x[i] * x[i];
        const real rstd = 1 / real_sqrt(sum / (real)C + (real)op->eps);
        for (int64_t i = 0; i < C; i++) y[i] = x[i] * rstd * w[i];
        if (!tensor_is_absent(op->rstd)) ref_row(op->rstd, t)[0] = rstd;
    }
}

/* n = x * rstd:  dx = add + rstd * (w*dy - n * mean(w*dy*n)),  dw += sum_rows dy * n */
void REF(rmsnorm_bwd)(struct stream *stream, const struct op_rmsnorm_bwd *op) {
    (void)stream;
    const int64_t T = op->x.rows, C = op->x.cols;
    const real *w = ref_row(op->w, 0);
    real *dw = ref_row(op->dw, 0);
    for (int64_t t = 0; t < T; t++) {
        const real *x = ref_row(op->x, t), *dy = ref_row(op->dy, t);
        real *dx = ref_row(op->dx, t);
        const real rstd = ref_row(op->rstd, t)[0];
        real sum = 0;
        for (int64_t i = 0; i < C; i++) sum += w[i] * dy[i] * (x[i] * rstd);
        const real mean = sum / (real)C;
        for (int64_t i = 0; i < C; i++) {
            const real n = x[i] * rstd;
            const real add = tensor_is_absent(op->add) ? 0 : ref_row(op->add, t)[i];
            dw[i] += dy[i] * n;
            dx[i] = add + rstd * (w[i] * dy[i] - n * mean);
        }
    }
}

/* y = softmax(x * scale) */
void REF(softmax_fwd)(struct stream *stream, const struct op_softmax_fwd *op) {
    (void)stream;
    const real scale = (real)op->scale;
    for (int64_t t = 0; t < op->x.rows; t++) {
        const real *x = ref_row(op->x, t);
        real *y = ref_row(op->y, t);
        real max = x[0] * scale, sum = 0;
        for (int64_t i = 1; i < op->x.cols; i++)
            if (x[i] * scale > max) max = x[i] * scale;
        for (int64_t i = 0; i < op->x.cols; i++) {
            y[i] = real_exp(x[i] * scale - max);
            sum += y[i];
        }
        for (int64_t i = 0; i < op->x.cols; i++) y[i] /= sum;
    }
}

/* dx = scale * y * (dy - sum(dy * y)) */
void REF(softmax_bwd)(struct stream *stream, const struct op_softmax_bwd *op) {
    (void)stream;
    for (int64_t t = 0; t < op->y.rows; t++) {
        const real *dy = ref_row(op->dy, t), *y = ref_row(op->y, t);
        real *dx = ref_row(op->dx, t);
        real sum = 0;
        for (int64_t i = 0; i < op->y.cols; i++) sum += dy[i] * y[i];
        for (int64_t i = 0; i < op->y.cols; i++) dx[i] = (real)op->scale * y[i] * (dy[i] - sum);
    }
}
