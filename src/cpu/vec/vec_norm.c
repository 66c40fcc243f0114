/* RMSNorm and softmax: operations that sum over a row. */
#include <math.h>

#include "cpu/vec/rows.h"
#include "cpu/vec/vmath.h"

/* ---- RMSNorm ---- */

/* y = x * rstd * w,  rstd = 1 / sqrt(mean(x^2) + eps) */
static void rmsnorm_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_rmsnorm_fwd *op = arg;
    const int64_t C = op->x.cols;
    const float *w = row_f32(op->w, 0);
    for (int64_t t = first; t < end; t++) {
        const float *x = row_f32(op->x, t);
        float *y = row_f32(op->y, t);
        const double mean = (double)row_dot(x, x, C) / (double)C;
        const float rstd = (float)(1.0 / sqrt(mean + op->eps));
        const vf scale = vf_set1(rstd);
        for (int64_t i = 0; i < C; i += VEC_LANES)
            row_store(y, i, C, vf_mul(vf_mul(row_load(x, i, C), scale), row_load(w, i, C)));
        if (!tensor_is_absent(op->rstd)) row_f32(op->rstd, t)[0] = rstd;
    }
}

void VEC_NAME(rmsnorm_fwd)(struct stream *stream, const struct op_rmsnorm_fwd *op) {
    rows_run(stream, rmsnorm_rows, op, op->x.rows, op->x.cols);
}

/* dw += sum_rows dy * n,  n = x * rstd: columns [i, end) of one tile, rows ascending. Inlined with
 * is_whole for a tile of full width. */
VEC_INLINE void rmsnorm_dw_tile(const struct op_rmsnorm_bwd *op, int64_t i, int64_t end,
                                bool is_whole) {
    float *dw = row_f32(op->dw, 0) + i;
    const int64_t n = is_whole ? ROWS_COLUMN_TILE : end - i;
    vf sum[ROWS_COLUMN_VECTORS];
    VEC_UNROLL
    for (int j = 0; j < ROWS_COLUMN_VECTORS; j++) sum[j] = row_load_or_zero(dw, j * VEC_LANES, n);
    for (int64_t t = 0; t < op->x.rows; t++) {
        const float *x = row_f32(op->x, t) + i, *dy = row_f32(op->dy, t) + i;
        const vf rstd = vf_set1(row_f32(op->rstd, t)[0]);
        VEC_UNROLL
        for (int j = 0; j < ROWS_COLUMN_VECTORS; j++) {
            const vf normed = vf_mul(row_load_or_zero(x, j * VEC_LANES, n), rstd);
            sum[j] = vf_fma(row_load_or_zero(dy, j * VEC_LANES, n), normed, sum[j]);
        }
    }
    VEC_UNROLL
    for (int j = 0; j < ROWS_COLUMN_VECTORS; j++)
        if (j * VEC_LANES < n) row_store(dw, j * VEC_LANES, n, sum[j]);
}

static void rmsnorm_dw(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    int64_t i = first;
    for (; i + ROWS_COLUMN_TILE <= end; i += ROWS_COLUMN_TILE) rmsnorm_dw_tile(arg, i, end, true);
    if (i < end) rmsnorm_dw_tile(arg, i, end, false);
}

/* sum_i w * dy * n */
static float rmsnorm_dot(const float *w, const float *dy, const float *x, float rstd, int64_t C) {
    const vf scale = vf_set1(rstd);
    struct row_sums s = row_sums_zero();
    for (int64_t i = 0; i < C; i += 4 * VEC_LANES) {
        VEC_UNROLL
        for (int j = 0; j < 4; j++) {
            const int64_t at = i + j * VEC_LANES;
            if (at >= C) break;
            const vf n = vf_mul(row_load(x, at, C), scale);
            s.chain[j] = vf_fma(vf_mul(row_load(w, at, C), row_load(dy, at, C)), n, s.chain[j]);
        }
    }
    return row_sums_total(s);
}

/* dx = add + rstd * (w*dy - n * mean(w*dy*n)) */
static void rmsnorm_dx(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_rmsnorm_bwd *op = arg;
    const int64_t C = op->x.cols;
    const float *w = row_f32(op->w, 0);
    for (int64_t t = first; t < end; t++) {
        const float *x = row_f32(op->x, t), *dy = row_f32(op->dy, t);
        const float *add = tensor_is_absent(op->add) ? NULL : row_f32(op->add, t);
        float *dx = row_f32(op->dx, t);
        const float rstd = row_f32(op->rstd, t)[0];
        const vf scale = vf_set1(rstd);
        const vf mean = vf_set1(rmsnorm_dot(w, dy, x, rstd, C) / (float)C);
        for (int64_t i = 0; i < C; i += VEC_LANES) {
            const vf n = vf_mul(row_load(x, i, C), scale);
            const vf g = vf_mul(row_load(w, i, C), row_load(dy, i, C));
            const vf start = add ? row_load(add, i, C) : vf_zero();
            row_store(dx, i, C, vf_fma(scale, vf_fnma(n, mean, g), start));
        }
    }
}

/* dw first: dx may take dy's place. */
void VEC_NAME(rmsnorm_bwd)(struct stream *stream, const struct op_rmsnorm_bwd *op) {
    rows_run_columns(stream, rmsnorm_dw, op, op->x.rows, op->x.cols);
    rows_run(stream, rmsnorm_dx, op, op->x.rows, op->x.cols);
}

/* ---- softmax ---- */

/* y = exp(x * scale - max) / sum */
static void softmax_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_softmax_fwd *op = arg;
    const int64_t C = op->x.cols;
    const vf scale = vf_set1((float)op->scale);
    for (int64_t t = first; t < end; t++) {
        const float *x = row_f32(op->x, t);
        float *y = row_f32(op->y, t);
        vf max = vf_set1(-INFINITY);
        for (int64_t i = 0; i < C; i += VEC_LANES) {
            const vf s = vf_mul(row_load(x, i, C), scale);
            max = vf_max(max, vf_select(vm_first(row_lanes(i, C)), s, max));
        }
        max = vf_set1(vf_hmax(max));
        vf sum = vf_zero();
        for (int64_t i = 0; i < C; i += VEC_LANES) {
            const vf p = vf_exp_flush(vf_sub(vf_mul(row_load(x, i, C), scale), max));
            row_store(y, i, C, p);
            sum = vf_add(sum, vf_select(vm_first(row_lanes(i, C)), p, vf_zero()));
        }
        const vf total = vf_set1(vf_sum(sum));
        for (int64_t i = 0; i < C; i += VEC_LANES)
            row_store(y, i, C, vf_div(row_load(y, i, C), total));
    }
}

void VEC_NAME(softmax_fwd)(struct stream *stream, const struct op_softmax_fwd *op) {
    rows_run(stream, softmax_rows, op, op->x.rows, op->x.cols);
}

/* dx = scale * y * (dy - sum(dy * y)) */
static void softmax_bwd_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_softmax_bwd *op = arg;
    const int64_t C = op->y.cols;
    const vf scale = vf_set1((float)op->scale);
    for (int64_t t = first; t < end; t++) {
        const float *dy = row_f32(op->dy, t), *y = row_f32(op->y, t);
        float *dx = row_f32(op->dx, t);
        const vf sum = vf_set1(row_dot(dy, y, C));
        for (int64_t i = 0; i < C; i += VEC_LANES) {
            const vf weight = vf_mul(scale, row_load(y, i, C));
            row_store(dx, i, C, vf_mul(weight, vf_sub(row_load(dy, i, C), sum)));
        }
    }
}

void VEC_NAME(softmax_bwd)(struct stream *stream, const struct op_softmax_bwd *op) {
    rows_run(stream, softmax_bwd_rows, op, op->y.rows, op->y.cols);
}
