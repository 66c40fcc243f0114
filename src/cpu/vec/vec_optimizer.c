/* AdamW (Loshchilov and Hutter 2019) and sums of squares: one pass over flat arrays. */
#include <math.h>
#include <string.h>

#include "cpu/vec/round.h"
#include "cpu/vec/rows.h"

/* ---- AdamW ---- */

/* Lanes [i, end) of a moment; `is_bf16` is a constant where this is inlined. */
VEC_INLINE vf moment_load(const void *x, int64_t i, int64_t end, bool is_bf16) {
    if (!is_bf16) return row_load(x, i, end);
    const uint16_t *codes = (const uint16_t *)x + i;
    if (end - i >= VEC_LANES) return vf_load_bf16(codes);
    uint16_t part[VEC_LANES] = {0};
    memcpy(part, codes, (size_t)(end - i) * sizeof *part);
    return vf_load_bf16(part);
}
VEC_INLINE void moment_store(void *x, int64_t i, int64_t end, vf a, bool is_bf16) {
    if (!is_bf16) {
        row_store(x, i, end, a);
        return;
    }
    uint16_t *codes = (uint16_t *)x + i, part[VEC_LANES];
    if (end - i >= VEC_LANES) {
        vf_store_bf16(codes, round_bf16(a));
        return;
    }
    vf_store_bf16(part, round_bf16(a));
    memcpy(codes, part, (size_t)(end - i) * sizeof *part);
}

/* The factors of one call, rounded once. */
struct adamw {
    vf beta1, rest1, beta2, rest2; /* b1, 1 - b1, b2, 1 - b2 */
    vf step;                       /* lr / c1 */
    vf inverse2;                   /* 1 / c2 */
    vf eps, shrink, grad_scale;    /* shrink = lr * decay */
};

static struct adamw adamw_factors(const struct op_adamw *op) {
    return (struct adamw){
        .beta1 = vf_set1((float)op->beta1),
        .rest1 = vf_set1((float)(1 - op->beta1)),
        .beta2 = vf_set1((float)op->beta2),
        .rest2 = vf_set1((float)(1 - op->beta2)),
        .step = vf_set1((float)(op->lr / op->correction1)),
        .inverse2 = vf_set1((float)(1 / op->correction2)),
        .eps = vf_set1((float)op->eps),
        .shrink = vf_set1((float)(op->lr * op->decay)),
        .grad_scale = vf_set1((float)op->grad_scale),
    };
}

/* m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 * p -= lr * ( (m/c1) / (sqrt(v/c2) + eps) + decay * p ) */
VEC_INLINE void adamw_elements(const struct op_adamw *op, int64_t first, int64_t end,
                               bool is_bf16) {
    const struct adamw f = adamw_factors(op);
    float *p = op->p.data;
    void *m = op->m.data, *v = op->v.data;
    const float *g = op->g.data;
    for (int64_t i = first; i < end; i += VEC_LANES) {
        const vf grad = vf_mul(row_load(g, i, end), f.grad_scale);
        const vf old = row_load(p, i, end);
        const vf m0 = moment_load(m, i, end, is_bf16), v0 = moment_load(v, i, end, is_bf16);
        const vf m1 = vf_fma(f.beta1, m0, vf_mul(f.rest1, grad));
        const vf v1 = vf_fma(f.beta2, v0, vf_mul(f.rest2, vf_mul(grad, grad)));
        const vf root = vf_add(vf_sqrt(vf_mul(v1, f.inverse2)), f.eps);
        const vf move = vf_fma(f.shrink, old, vf_div(vf_mul(f.step, m1), root));
        moment_store(m, i, end, m1, is_bf16);
        moment_store(v, i, end, v1, is_bf16);
        row_store(p, i, end, vf_sub(old, move));
    }
}

static void adamw_range(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_adamw *op = arg;
    if (op->m.dtype == DTYPE_BF16)
        adamw_elements(op, first, end, true);
    else
        adamw_elements(op, first, end, false);
}

void VEC_NAME(adamw)(struct stream *stream, const struct op_adamw *op) {
    rows_run(stream, adamw_range, op, op->p.cols, 1);
}

/* ---- running means ---- */

/* y += weight * (x - y) */
static void lerp_range(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_lerp *op = arg;
    const vf weight = vf_set1((float)op->weight);
    float *y = op->y.data;
    const float *x = op->x.data;
    for (int64_t i = first; i < end; i += VEC_LANES) {
        const vf old = row_load(y, i, end);
        row_store(y, i, end, vf_fma(weight, vf_sub(row_load(x, i, end), old), old));
    }
}

void VEC_NAME(lerp)(struct stream *stream, const struct op_lerp *op) {
    rows_run(stream, lerp_range, op, op->y.cols, 1);
}

/* ---- sums of squares ---- */

/* partial = sum x^2 in double: vector i of a chunk goes to pair of chains i % 2, its low half to
 * one and its high half to the other, in ascending order; then a fixed tree. */
static double chunk_sumsq(const float *x, int64_t n) {
    vd low[2] = {vd_zero(), vd_zero()}, high[2] = {vd_zero(), vd_zero()};
    for (int64_t i = 0; i < n; i += 2 * VEC_LANES) {
        VEC_UNROLL
        for (int j = 0; j < 2; j++) {
            const vf a = row_load_or_zero(x, i + j * VEC_LANES, n);
            low[j] = vd_fma(vd_low(a), vd_low(a), low[j]);
            high[j] = vd_fma(vd_high(a), vd_high(a), high[j]);
        }
    }
    return vd_sum(vd_add(vd_add(low[0], low[1]), vd_add(high[0], high[1])));
}

static void sumsq_chunks(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_sumsq *op = arg;
    for (int64_t chunk = first; chunk < end; chunk++) {
        const int64_t at = chunk * SUMSQ_CHUNK, left = op->x.cols - at;
        op->partial[chunk] =
            chunk_sumsq((const float *)op->x.data + at, left < SUMSQ_CHUNK ? left : SUMSQ_CHUNK);
    }
}

void VEC_NAME(sumsq)(struct stream *stream, const struct op_sumsq *op) {
    rows_run_tiles(stream, sumsq_chunks, op, (op->x.cols + SUMSQ_CHUNK - 1) / SUMSQ_CHUNK, 1);
}
