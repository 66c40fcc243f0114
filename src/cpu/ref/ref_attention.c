#include "cpu/ref/ref.h"

#include <string.h>

/* The vectors of one query row t and one key row j at query head h. */
struct pair {
    const real *q, *k, *k_rope;
};

static const real *head(struct tensor x, int64_t row, int64_t h, int64_t stride) {
    return ref_row(x, row) + h * stride;
}

static int64_t key_head(const struct attention_shape *s, int64_t h) {
    return h / (s->heads / s->kv_heads);
}

/* s_j = scale * (q_nope . k_j + q_rope . k_rope_j) */
static real score(const struct attention_shape *s, struct pair p) {
    real sum = 0;
    for (int64_t d = 0; d < s->dim_nope; d++) sum = real_fma(p.q[d], p.k[d], sum);
    for (int64_t d = 0; d < s->dim_rope; d++)
        sum = real_fma(p.q[s->dim_nope + d], p.k_rope[d], sum);
    return (real)s->scale * sum;
}

static struct pair pair_at(const struct attention_shape *s, struct tensor q, struct tensor k,
                           struct tensor k_rope, int64_t t, int64_t j, int64_t h) {
    return (struct pair){.q = head(q, t, h, s->q_stride),
                         .k = head(k, j, key_head(s, h), s->k_stride),
                         .k_rope = s->dim_rope > 0 ? ref_row(k_rope, j) : NULL};
}

/* o = sum_j softmax(s)_j v_j for query row t at position p of its sequence, head h. */
static void attend(const struct op_attention_fwd *op, const struct span *span, int64_t t, int64_t p,
                   int64_t h) {
    const struct attention_shape *s = &op->shape;
    real *o = ref_row(op->o, t) + h * s->o_stride;
    real max = -INFINITY, sum = 0;
    for (int64_t j = 0; j <= p; j++) {
        const real x = score(s, pair_at(s, op->q, op->k, op->k_rope, t, span->kv_row + j, h));
        if (x > max) max = x;
    }
    for (int64_t d = 0; d < s->dim_value; d++) o[d] = 0;
    for (int64_t j = 0; j <= p; j++) {
        const real x = score(s, pair_at(s, op->q, op->k, op->k_rope, t, span->kv_row + j, h));
        const real weight = real_exp(x - max);
        const real *v = head(op->v, span->kv_row + j, key_head(s, h), s->v_stride);
        sum += weight;
        for (int64_t d = 0; d < s->dim_value; d++) o[d] = real_fma(weight, v[d], o[d]);
    }
    for (int64_t d = 0; d < s->dim_value; d++) o[d] /= sum;
    if (!tensor_is_absent(op->lse)) ref_row(op->lse, t)[h] = max + real_log(sum);
}

void REF(attention_fwd)(struct stream *stream, const struct op_attention_fwd *op) {
    (void)stream;
    for (int64_t n = 0; n < op->span_count; n++) {
        const struct span *span = &op->spans[n];
        for (int64_t i = 0; i < span->count; i++)
            for (int64_t h = 0; h < op->shape.heads; h++)
                attend(op, span, span->row + i, span->first + i, h);
    }
}

/* ---- backward ---- */

/* Zeroes what is summed into: all of a sequence's dq, dk, dv and dk_rope. */
static void clear_gradients(const struct op_attention_bwd *op, const struct span *span) {
    const struct attention_shape *s = &op->shape;
    const size_t key = (size_t)s->dim_nope * sizeof(real),
                 rope = (size_t)s->dim_rope * sizeof(real);
    const size_t value = (size_t)s->dim_value * sizeof(real);
    for (int64_t t = span->row; t < span->row + span->count; t++) {
        for (int64_t h = 0; h < s->heads; h++)
            memset(ref_row(op->dq, t) + h * s->q_stride, 0, key + rope);
        for (int64_t h = 0; h < s->kv_heads; h++) {
            memset(ref_row(op->dk, t) + h * s->k_stride, 0, key);
            memset(ref_row(op->dv, t) + h * s->v_stride, 0, value);
        }
        if (s->dim_rope > 0) memset(ref_row(op->dk_rope, t), 0, rope);
    }
}

/* Everything that query row t of head h sends to key row j:
 * p = exp(s - lse),  ds = p*(do.v - delta),
 * dv_j += p do,  dq += scale ds k_j,  dk_j += scale ds q */
static void attend_backward(const struct op_attention_bwd *op, int64_t t, int64_t j, int64_t h,
                            real delta) {
    const struct attention_shape *s = &op->shape;
    const struct pair x = pair_at(s, op->q, op->k, op->k_rope, t, j, h);
    const int64_t kh = key_head(s, h), Dn = s->dim_nope;
    const real *v = head(op->v, j, kh, s->v_stride), *dout = head(op->dout, t, h, s->o_stride);
    real *dq = ref_row(op->dq, t) + h * s->q_stride, *dk = ref_row(op->dk, j) + kh * s->k_stride;
    real *dv = ref_row(op->dv, j) + kh * s->v_stride;

    const real p = real_exp(score(s, x) - ref_row(op->lse, t)[h]);
    real dp = 0;
    for (int64_t d = 0; d < s->dim_value; d++) {
        dp = real_fma(dout[d], v[d], dp);
        dv[d] = real_fma(p, dout[d], dv[d]);
    }
    const real ds = (real)s->scale * (p * (dp - delta));
    for (int64_t d = 0; d < Dn; d++) {
        dq[d] = real_fma(ds, x.k[d], dq[d]);
        dk[d] = real_fma(ds, x.q[d], dk[d]);
    }
    for (int64_t d = 0; d < s->dim_rope; d++) {
        real *dk_rope = ref_row(op->dk_rope, j);
        dq[Dn + d] = real_fma(ds, x.k_rope[d], dq[Dn + d]);
        dk_rope[d] = real_fma(ds, x.q[Dn + d], dk_rope[d]);
    }
}

void REF(attention_bwd)(struct stream *stream, const struct op_attention_bwd *op) {
    (void)stream;
    const struct attention_shape *s = &op->shape;
    for (int64_t n = 0; n < op->span_count; n++) {
        const struct span *span = &op->spans[n];
        clear_gradients(op, span);
        for (int64_t h = 0; h < s->heads; h++) {
            for (int64_t t = span->row; t < span->row + span->count; t++) {
                const real *dout = head(op->dout, t, h, s->o_stride);
                const real *o = head(op->o, t, h, s->o_stride);
                real delta = 0;
                for (int64_t d = 0; d < s->dim_value; d++) delta = real_fma(dout[d], o[d], delta);
                for (int64_t j = span->row; j <= t; j++) attend_backward(op, t, j, h, delta);
            }
        }
    }
}
