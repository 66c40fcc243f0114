/* Row by row without sums over a row: SwiGLU, addition, sums over rows, embedding. */
#include <string.h>

#include "cpu/vec/rows.h"
#include "cpu/vec/vmath.h"

/* ---- SwiGLU ---- */

/* y = silu(g) * u;  silu(z) = z * sigmoid(z) */
static void swiglu_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_swiglu_fwd *op = arg;
    const int64_t F = op->y.cols;
    for (int64_t t = first; t < end; t++) {
        const float *g = row_f32(op->g, t), *u = row_f32(op->u, t);
        float *y = row_f32(op->y, t);
        for (int64_t i = 0; i < F; i += VEC_LANES) {
            const vf z = row_load(g, i, F);
            row_store(y, i, F, vf_mul(vf_mul(z, vf_sigmoid(z)), row_load(u, i, F)));
        }
    }
}

void VEC_NAME(swiglu_fwd)(struct stream *stream, const struct op_swiglu_fwd *op) {
    rows_run(stream, swiglu_rows, op, op->y.rows, op->y.cols);
}

/* The vectors of one place: what goes in, and what comes out for row weight w. */
struct swiglu_grads {
    vf dg, du, y;
};
/* dg = w*dz*u*silu'(g)   du = w*dz*silu(g)   y = silu(g)*u
 * silu'(g) = sigmoid(g) * (1 + g * (1 - sigmoid(g))) */
VEC_INLINE struct swiglu_grads swiglu_backward(vf g, vf u, vf wdz) {
    const vf one = vf_set1(1.0f), sigmoid = vf_sigmoid(g), silu = vf_mul(g, sigmoid);
    const vf slope = vf_mul(sigmoid, vf_fma(g, vf_sub(one, sigmoid), one));
    return (struct swiglu_grads){
        .dg = vf_mul(vf_mul(wdz, u), slope), .du = vf_mul(wdz, silu), .y = vf_mul(silu, u)};
}

/* Row r with weight w; returns sum_F dz*y. */
static float swiglu_bwd_row(const struct op_swiglu_bwd *op, int64_t r, float w) {
    const int64_t F = op->dz.cols;
    const float *g = row_f32(op->g, r), *u = row_f32(op->u, r), *dz = row_f32(op->dz, r);
    float *dg = row_f32(op->dg, r), *du = row_f32(op->du, r);
    float *wy = tensor_is_absent(op->wy) ? NULL : row_f32(op->wy, r);
    const vf weight = vf_set1(w);
    vf sum = vf_zero();
    for (int64_t i = 0; i < F; i += VEC_LANES) {
        const vf d = row_load(dz, i, F);
        const struct swiglu_grads x =
            swiglu_backward(row_load(g, i, F), row_load(u, i, F), vf_mul(weight, d));
        sum = vf_fma(d, x.y, sum);
        row_store(dg, i, F, x.dg);
        row_store(du, i, F, x.du);
        if (wy) row_store(wy, i, F, vf_mul(weight, x.y));
    }
    return vf_sum(sum);
}

static void swiglu_bwd_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_swiglu_bwd *op = arg;
    const bool has_weight = !tensor_is_absent(op->weight);
    for (int64_t r = first; r < end; r++) {
        const int64_t slot = op->slot ? op->slot[r] : r;
        const float w = has_weight ? row_f32(op->weight, slot)[0] : 1.0f;
        const float dweight = swiglu_bwd_row(op, r, w);
        if (has_weight) row_f32(op->dweight, slot)[0] = dweight;
    }
}

void VEC_NAME(swiglu_bwd)(struct stream *stream, const struct op_swiglu_bwd *op) {
    rows_run(stream, swiglu_bwd_rows, op, op->dz.rows, op->dz.cols);
}

/* ---- sums ---- */

/* y = a + b */
static void add_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_add *op = arg;
    const int64_t C = op->y.cols;
    for (int64_t t = first; t < end; t++) {
        const float *a = row_f32(op->a, t), *b = row_f32(op->b, t);
        float *y = row_f32(op->y, t);
        for (int64_t i = 0; i < C; i += VEC_LANES)
            row_store(y, i, C, vf_add(row_load(a, i, C), row_load(b, i, C)));
    }
}

void VEC_NAME(add)(struct stream *stream, const struct op_add *op) {
    rows_run(stream, add_rows, op, op->y.rows, op->y.cols);
}

/* y += sum_rows x: columns [i, end) of one tile, rows ascending. Inlined with is_whole for a tile
 * of full width. */
VEC_INLINE void sum_tile(const struct op_sum_rows *op, int64_t i, int64_t end, bool is_whole) {
    float *y = row_f32(op->y, 0) + i;
    const int64_t n = is_whole ? ROWS_COLUMN_TILE : end - i;
    vf sum[ROWS_COLUMN_VECTORS];
    VEC_UNROLL
    for (int j = 0; j < ROWS_COLUMN_VECTORS; j++) sum[j] = row_load_or_zero(y, j * VEC_LANES, n);
    for (int64_t t = 0; t < op->x.rows; t++) {
        const float *x = row_f32(op->x, t) + i;
        VEC_UNROLL
        for (int j = 0; j < ROWS_COLUMN_VECTORS; j++)
            sum[j] = vf_add(sum[j], row_load_or_zero(x, j * VEC_LANES, n));
    }
    VEC_UNROLL
    for (int j = 0; j < ROWS_COLUMN_VECTORS; j++)
        if (j * VEC_LANES < n) row_store(y, j * VEC_LANES, n, sum[j]);
}

static void sum_columns(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    int64_t i = first;
    for (; i + ROWS_COLUMN_TILE <= end; i += ROWS_COLUMN_TILE) sum_tile(arg, i, end, true);
    if (i < end) sum_tile(arg, i, end, false);
}

void VEC_NAME(sum_rows)(struct stream *stream, const struct op_sum_rows *op) {
    rows_run_columns(stream, sum_columns, op, op->x.rows, op->x.cols);
}

/* ---- embedding ---- */

/* y[t] = w[tokens[t]] */
static void embed_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_embedding_fwd *op = arg;
    const size_t bytes = (size_t)op->y.cols * sizeof(float);
    for (int64_t t = first; t < end; t++)
        memcpy(row_f32(op->y, t), row_f32(op->w, op->tokens[t]), bytes);
}

void VEC_NAME(embedding_fwd)(struct stream *stream, const struct op_embedding_fwd *op) {
    rows_run(stream, embed_rows, op, op->y.rows, op->y.cols);
}

/* dw[tokens[t]] += dy[t]: columns [first, end), rows ascending */
static void embed_bwd_columns(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_embedding_bwd *op = arg;
    for (int64_t t = 0; t < op->dy.rows; t++) {
        const float *dy = row_f32(op->dy, t);
        float *dw = row_f32(op->dw, op->tokens[t]);
        for (int64_t i = first; i < end; i += VEC_LANES)
            row_store(dw, i, end, vf_add(row_load(dw, i, end), row_load(dy, i, end)));
    }
}

void VEC_NAME(embedding_bwd)(struct stream *stream, const struct op_embedding_bwd *op) {
    rows_run_columns(stream, embed_bwd_columns, op, op->dy.rows, op->dy.cols);
}
