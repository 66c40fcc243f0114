/* Rotary position embedding (Su et al. 2021). */
#include <math.h>

#include "cpu/vec/rows.h"

/* ---- the table ---- */

/* cos[t, i] = factor * cos(positions[t] * frequency[i]), sin likewise */
static void table_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_rope_table *op = arg;
    for (int64_t t = first; t < end; t++) {
        float *c = row_f32(op->cos, t), *s = row_f32(op->sin, t);
        for (int64_t i = 0; i < op->cos.cols; i++) {
            const double angle = (double)op->positions[t] * op->frequency[i];
            c[i] = (float)(op->factor * cos(angle));
            s[i] = (float)(op->factor * sin(angle));
        }
    }
}

/* An angle costs about as much as 16 elements of other operations. */
void VEC_NAME(rope_table)(struct stream *stream, const struct op_rope_table *op) {
    rows_run(stream, table_rows, op, op->cos.rows, op->cos.cols * 16);
}

/* ---- the turn ---- */

/* (a, b) -> (a cos - b sin, b cos + a sin) */
VEC_INLINE void turn(vf *a, vf *b, vf c, vf s) {
    const vf x = *a, y = *b;
    *a = vf_fnma(y, s, vf_mul(x, c));
    *b = vf_fma(x, s, vf_mul(y, c));
}

VEC_INLINE vf sine(const float *s, int64_t i, int64_t pairs, bool is_inverse) {
    const vf x = row_load(s, i, pairs);
    return is_inverse ? vf_neg(x) : x;
}

/* Pairs (x[i], x[i + pairs]). */
static void turn_half(float *x, const float *c, const float *s, int64_t pairs, bool is_inverse) {
    for (int64_t i = 0; i < pairs; i += VEC_LANES) {
        vf a = row_load(x, i, pairs), b = row_load(x + pairs, i, pairs);
        turn(&a, &b, row_load(c, i, pairs), sine(s, i, pairs, is_inverse));
        row_store(x, i, pairs, a);
        row_store(x + pairs, i, pairs, b);
    }
}

/* Pairs (x[2i], x[2i + 1]). */
static void turn_interleaved(float *x, const float *c, const float *s, int64_t pairs,
                             bool is_inverse) {
    const int64_t n = 2 * pairs;
    for (int64_t i = 0; i < pairs; i += VEC_LANES) {
        const int64_t low = 2 * i, high = low + VEC_LANES;
        vf first = row_load(x, low, n), second = row_load_or_zero(x, high, n), a, b;
        vf_unzip(first, second, &a, &b);
        turn(&a, &b, row_load(c, i, pairs), sine(s, i, pairs, is_inverse));
        vf_zip(a, b, &first, &second);
        row_store(x, low, n, first);
        if (high < n) row_store(x, high, n, second);
    }
}

static void rope_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_rope *op = arg;
    const int64_t pairs = op->cos.cols;
    for (int64_t t = first; t < end; t++) {
        const float *c = row_f32(op->cos, t), *s = row_f32(op->sin, t);
        for (int64_t h = 0; h < op->heads; h++) {
            float *x = row_f32(op->x, t) + h * op->head_stride;
            if (op->layout == ROPE_HALF)
                turn_half(x, c, s, pairs, op->is_inverse);
            else
                turn_interleaved(x, c, s, pairs, op->is_inverse);
        }
    }
}

void VEC_NAME(rope)(struct stream *stream, const struct op_rope *op) {
    rows_run(stream, rope_rows, op, op->x.rows, op->heads * op->cos.cols * 2);
}
