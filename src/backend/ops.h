/* The table of operations that every backend implements: one parameter struct each.
 *
 * Contract of every operation. Shapes have been checked by ops/. Operands do not overlap unless a
 * field says so. All floating tensors of one call share one compute dtype unless a field says
 * otherwise. Outputs are written, or added to where the field says "+=". Integer arrays lie on the
 * device. Spans and scalars are the host's and are read before the call returns.
 *
 * Determinism. Every output element that belongs to a row is computed by one reduction order which
 * depends on that row's own data and position, never on the other rows of the call, the tiling or
 * the threads: products run over K in ascending order, one accumulator an element, c = fma(a, b,
 * c), starting from zero (or from the old value under "+="); outputs are spread over vector lanes.
 * Sums over rows (weight gradients) run over rows in ascending order. docs/numerics.md has the
 * rest.
 *
 * Letters: T tokens (rows of the call), S keys, D model dim, H heads, Dn Dr Dv per-head dims,
 * V vocabulary, E experts, K active experts, F FFN dim, M N K of a product, R routed rows = T*K. */
#ifndef BACKEND_OPS_H
#define BACKEND_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/tensor.h"

struct stream;

/* ops/ refuses more than this, so that sizes computed from shapes stay sane. A backend whose
 * scratch memory holds less than a shape needs fails the stream with FATHOM_NO_MEMORY. */
enum {
    ATTENTION_WIDTH_MAX = 1152, /* Dn + Dr + Dv of one head */
    EXPERTS_MAX = 65536,
    SPANS_MAX = 1 << 19, /* in one call */
};

/* One sequence's part of a ragged batch. Its `count` tokens are rows [row, row + count) and stand
 * at positions [first, first + count) of their sequence. Keys and values of position p are row
 * kv_row + p of the key and value tensors. In training first = 0 and kv_row = row. */
struct span {
    int64_t row;
    int64_t count;
    int64_t first;
    int64_t kv_row;
};

/* ---- number formats of operands ---- */

/* How an operation reads an operand of its compute dtype: every element becomes the nearest value
 * of a format, ties to even; NaN stays NaN. Scaled formats are code * s, and code = e4m3(x / s)
 * with s = max(amax / 448, 1e-10) of a tile or block (V3 report 3.3.2); an infinity becomes NaN.
 * Tiles are 128 elements of one row or column in the direction in which a product sums, the
 * first at its first step, the last one shorter where 128 does not divide. Rounding is done in
 * single precision whatever the compute dtype, and as values, so a product's sum is its usual
 * chain: scales are multiplied in before it, not after every 128 steps. */
enum rounding {
    ROUND_NONE,
    ROUND_BF16,
    ROUND_E4M3,        /* 1 x 128 tiles */
    ROUND_E4M3_POW2,   /* the same with s rounded up to a power of two: rounding again changes
                          nothing */
    ROUND_E4M3_BLOCKS, /* blocks of 128 x 128: weights, B of the NT and NN forms */
    ROUND_E5M6_POW2,   /* 1 x 128 tiles of e5m6 codes, s = amax / 65024 rounded up to a power of
                          two; op_round only */
    ROUND_COUNT
};
enum { ROUND_TILE = 128 };

/* y = x rounded, tiles along columns from column 0 of the view, blocks from row 0. */
struct op_round {
    struct tensor y; /* [T, C] out; may alias x */
    struct tensor x; /* [T, C] */
    enum rounding rounding;
};

/* ---- products ---- */

enum matmul_form {
    MATMUL_NT, /* C[M,N] = A[M,K] B[N,K]^T   forward: y = x w^T */
    MATMUL_NN, /* C[M,N] = A[M,K] B[K,N]     input gradient: dx = dy w */
    MATMUL_TN, /* C[M,N] = A[K,M]^T B[K,N]   weight gradient: dw = dy^T x */
};
struct op_matmul {
    enum matmul_form form;
    struct tensor c;
    struct tensor a;
    struct tensor b;
    struct tensor bias;             /* [1, N], added after the sum; may be absent */
    bool accumulate;                /* C += */
    enum rounding round_a, round_b; /* how A and B are read; C and bias are not rounded */
};

/* One product per expert e over its rows [offsets[e], offsets[e+1]), E experts:
 * NT  C[rows,N] = A[rows,K] B_e[N,K]^T    NN  C[rows,N] = A[rows,K] B_e[K,N]
 * TN  C_e[M,N] (+)= A[rows,M]^T B[rows,N]; an expert without rows leaves C_e (or zeroes it).
 * Per-expert matrices lie one below the other: expert e is rows [e * n, (e + 1) * n) of B (NT, NN)
 * or C (TN). A gather replaces row r of that operand by row gather[r]. */
struct op_matmul_grouped {
    enum matmul_form form;
    struct tensor c;
    struct tensor a;
    struct tensor b;
    const int32_t *offsets;  /* [E + 1] on the device, offsets[0] = 0, ascending */
    const int32_t *gather_a; /* [R] or NULL */
    const int32_t *gather_b; /* [R] or NULL; TN only */
    int64_t experts;
    int64_t rows;                   /* upper bound of offsets[E], known to the host */
    bool accumulate;                /* TN only: C_e += */
    enum rounding round_a, round_b; /* as in op_matmul; tiles and blocks begin with each expert's
                                       first row */
};

/* ---- rows ---- */

/* y = x / sqrt(mean(x^2) + eps) * w */
struct op_rmsnorm_fwd {
    struct tensor y;    /* [T, C] out; may alias x */
    struct tensor x;    /* [T, C] */
    struct tensor w;    /* [1, C] */
    struct tensor rstd; /* [T, 1] out: 1 / sqrt(mean(x^2) + eps); may be absent */
    double eps;
};
/* With n = x * rstd:  dx = rstd * (w*dy - n * mean(w*dy*n)),  dw += sum_rows dy * n */
struct op_rmsnorm_bwd {
    struct tensor dx;   /* [T, C] out; may alias dy */
    struct tensor dw;   /* [1, C] += */
    struct tensor dy;   /* [T, C] */
    struct tensor x;    /* [T, C] */
    struct tensor w;    /* [1, C] */
    struct tensor rstd; /* [T, 1] */
    struct tensor add;  /* [T, C] added to dx, so that a residual's gradient needs no pass of its
                           own: dx = add + ...; may be absent, may alias dx */
};

/* cos[t, i] = factor * cos(positions[t] * frequency[i]), sin likewise; the angle in double. */
struct op_rope_table {
    struct tensor cos;        /* [T, Dr/2] out */
    struct tensor sin;        /* [T, Dr/2] out */
    const int32_t *positions; /* [T] */
    const double *frequency;  /* [Dr/2], host */
    double factor;
};
enum rope_layout {
    ROPE_INTERLEAVED, /* pairs (x[2i], x[2i+1]): DeepSeek's MLA */
    ROPE_HALF,        /* pairs (x[i], x[i + Dr/2]): Qwen, Llama */
};
/* In place on `heads` slices of Dr columns, `head_stride` apart, the first at column 0 of x:
 * (a, b) -> (a cos - b sin, b cos + a sin); is_inverse (the backward) turns the other way. */
struct op_rope {
    struct tensor x;        /* [T, >= (heads-1)*head_stride + Dr] in place */
    struct tensor cos, sin; /* [T, Dr/2] */
    int64_t heads;
    int64_t head_stride; /* elements */
    enum rope_layout layout;
    bool is_inverse;
};

/* y = silu(g) * u;  silu(z) = z * sigmoid(z) */
struct op_swiglu_fwd {
    struct tensor y; /* [N, F] out */
    struct tensor g; /* [N, F] gate projection; usually g and u are column halves of one tensor */
    struct tensor u; /* [N, F] up projection */
};
/* Backward of z = w_row * (silu(g) * u), the row weight w being 1 where `weight` is absent; it
 * recomputes y = silu(g) * u, which is not kept.
 *   dg = w*dz*u*silu'(g)   du = w*dz*silu(g)   dweight = sum_F dz*y   wy = w*y
 * With a slot table, row r has weight[slot[r]] and writes dweight[slot[r]]. */
struct op_swiglu_bwd {
    struct tensor dg, du;  /* [N, F] out */
    struct tensor wy;      /* [N, F] out: the weighted activation, operand of the down projection's
                              weight gradient; may be absent, may alias dz */
    struct tensor dz;      /* [N, F] */
    struct tensor g, u;    /* [N, F] */
    struct tensor weight;  /* [any, 1] flat; may be absent */
    struct tensor dweight; /* as weight; out; absent with it */
    const int32_t *slot;   /* [N] or NULL: row r is element r */
};

/* y = a + b. y may alias either. */
struct op_add {
    struct tensor y, a, b; /* [T, C] */
};
/* y += sum over rows of x, in row order. */
struct op_sum_rows {
    struct tensor y; /* [1, C] += */
    struct tensor x; /* [T, C] */
};
/* y = softmax over the columns of x * scale, row by row. */
struct op_softmax_fwd {
    struct tensor y; /* [T, C] out; may alias x */
    struct tensor x;
    double scale;
};
/* dx = scale * y * (dy - sum(dy * y)) */
struct op_softmax_bwd {
    struct tensor dx; /* out; may alias dy */
    struct tensor dy, y;
    double scale;
};

/* y[t] = w[tokens[t]]. Tokens are in [0, V), checked before they reach the device. */
struct op_embedding_fwd {
    struct tensor y; /* [T, D] out */
    struct tensor w; /* [V, D] */
    const int32_t *tokens;
};
/* dw[tokens[t]] += dy[t], in row order. */
struct op_embedding_bwd {
    struct tensor dw; /* [V, D] += */
    struct tensor dy; /* [T, D] */
    const int32_t *tokens;
};

/* ---- attention ---- */

/* Causal: the query at position p of its sequence sees keys 0..p.
 *   s_j = scale * (q_nope . k_j + q_rope . k_rope_j),  o = sum_j softmax(s)_j v_j
 * H query heads over Hk key heads (H a multiple; head h reads key head h / (H / Hk)). Dk = Dn + Dr:
 * the last Dr columns of a query head meet k_rope, which all heads share (MLA); Dr = 0 is GQA.
 * Keys are taken in blocks that start at multiples of a fixed size from the sequence's first
 * position, so a row's sums do not depend on how the sequence was cut into calls. */
struct attention_shape {
    int64_t heads, kv_heads;
    int64_t dim_nope, dim_rope, dim_value;          /* Dn, Dr, Dv */
    int64_t q_stride, k_stride, v_stride, o_stride; /* elements between heads within a row */
    double scale;
};
struct op_attention_fwd {
    struct attention_shape shape;
    struct tensor o;      /* [T, H*o_stride] out */
    struct tensor lse;    /* [T, H] out: log sum_j exp(s_j); may be absent */
    struct tensor q;      /* [T, H*q_stride], a head: Dn nope, then Dr rope */
    struct tensor k;      /* [S, Hk*k_stride] */
    struct tensor k_rope; /* [S, Dr]; absent when Dr = 0 */
    struct tensor v;      /* [S, Hk*v_stride] */
    const struct span *spans;
    int64_t span_count;
};
/* p = exp(s - lse), delta = sum_d do*o:  dv_j = sum_i p_ij do_i,  ds = p*(do.v - delta),
 * dq_i = scale*sum_j ds_ij k_j,  dk_j = scale*sum_i ds_ij q_i,  summed over the query heads that
 * share a key head, in head order. Whole sequences only: first = 0 and kv_row = row in every span.
 */
struct op_attention_bwd {
    struct attention_shape shape;
    struct tensor dq;      /* as q, out */
    struct tensor dk;      /* as k, out */
    struct tensor dk_rope; /* as k_rope, out; absent when Dr = 0 */
    struct tensor dv;      /* as v, out */
    struct tensor
        rope_heads;      /* workspace [T, H*Dr]: each head's part of dk_rope; absent when Dr = 0 */
    struct tensor delta; /* workspace [T, H] */
    struct tensor dout;  /* as o: gradient of o */
    struct tensor q, k, k_rope, v, o, lse;
    const struct span *spans;
    int64_t span_count;
};

/* ---- mixture of experts ---- */

enum gate_scoring { GATE_SIGMOID, GATE_SOFTMAX };
/* How expert groups are ranked and experts picked. */
enum gate_method {
    GATE_GREEDY,        /* top K of the scores (V2-Lite) */
    GATE_GROUP_LIMITED, /* best groups by their maximum, then top K within (V2) */
    GATE_NOAUX_TC, /* scores + bias; best groups by the sum of their top two, then top K (V3) */
};
/* s = sigmoid(logits) or softmax(logits); selection on s (+ bias); groups outside the best
 * topk_groups are masked with -inf; ties: the lower expert wins.
 * weight = s[idx] (/ (sum + 1e-20) if is_normalised) * routed_scale. */
struct gate_shape {
    int64_t experts, active;     /* E, K */
    int64_t groups, topk_groups; /* 1, 1: no groups */
    enum gate_scoring scoring;
    enum gate_method method;
    bool is_normalised;
    double routed_scale;
};
struct op_gate_fwd {
    struct gate_shape shape;
    struct tensor scores; /* [T, E] out; may alias logits */
    struct tensor weight; /* [T, K] out */
    struct tensor logits; /* [T, E] */
    struct tensor bias;   /* [1, E] f32, in f64 calls too; absent: zero */
    int32_t *idx;         /* [T, K] out, by descending selection score; in when idx_is_given */
    bool idx_is_given;    /* keep the routing (finite differences, routing replay) */
};
/* How much each of the three balance losses counts. Device d holds the experts [d E/D, (d+1) E/D).
 */
struct balance_levels {
    double expert;        /* a1 */
    double device;        /* a2 */
    double communication; /* a3 */
    int64_t devices;      /* D, divides E; read where a2 or a3 is not 0 */
    int64_t reach;        /* M: the most devices that a token is sent to; read where a3 is not 0 */
};
/* Sequence-wise balance losses, a sequence being a span, d(i) the device of expert i:
 *   f_i   = E/(K*T) * #{t : t counts i},  P_i = mean_t s_i/sum_j s_j   (V3 report, eqs 17-20)
 *   f'_d  = mean of f_i over d's experts                               (V2 report, eqs 26-28)
 *   f''_d = D/(M*T) * #{t : t has an expert on d}                      (V2 report, eqs 29-31)
 *   c_i   = a1 f_i + a2 f'_d(i) + a3 f''_d(i),  loss = sum_i c_i P_i
 * A token counts the top K of its unbiased scores (V3), or, with idx, the experts that it is routed
 * to (V2 report, eq 24). */
struct op_balance_fwd {
    struct tensor loss;   /* [span_count, 1] out */
    struct tensor c;      /* [span_count, E] out; in when c_is_given */
    struct tensor scores; /* [T, E] */
    const int32_t *idx;   /* [T, K], or NULL; needed where a2 or a3 is not 0 */
    const struct span *spans;
    int64_t span_count;
    int64_t active; /* K */
    struct balance_levels levels;
    bool c_is_given;
};
/* Gradient of the logits from that of the weights, plus balance_coef * d(sum of span losses). */
struct op_gate_bwd {
    struct gate_shape shape;
    struct tensor dlogits;   /* [T, E] out */
    struct tensor dweight;   /* [T, K] */
    struct tensor scores;    /* [T, E] */
    struct tensor weight;    /* [T, K] */
    const int32_t *idx;      /* [T, K] */
    struct tensor balance_c; /* [span_count, E] of the balance loss; absent: none */
    const struct span *spans;
    int64_t span_count;
    double balance_coef;
};

/* Device-level token dropping (V2 report 2.2.4). Device d holds the experts [d E/D, (d+1) E/D). Of
 * a device's slots (t, k) those with the lowest affinity scores[t, idx[t, k]] are dropped until
 * `capacity` are left; of equal ones the later slot. A sequence that keeps all its slots takes
 * capacity from the others and may exceed it. A NaN has the affinity of its bits. */
struct op_moe_drop {
    int32_t *kept;        /* [T, K] out: idx, or -1 where the slot is dropped */
    const int32_t *idx;   /* [T, K] */
    struct tensor scores; /* [T, E] */
    const struct span *spans;
    int64_t span_count;
    const bool *keeps_all; /* [span_count], host; NULL: none does */
    int64_t active;        /* K */
    int64_t devices;       /* D, divides E */
    int64_t capacity;      /* slots of a device, at least 1 */
};
/* Sorts slots (t, k) by expert, keeping slot order within one. Expert e's rows are
 * [offsets[p], offsets[p+1]) with p = place[e], or e itself without a table. A dropped slot has no
 * row: slot_row is -1 there, and row_token and row_slot are -1 behind the last row. */
struct op_moe_plan {
    const int32_t *idx;   /* [T, K] logical experts; -1: dropped */
    const int32_t *place; /* [E] logical to physical expert, or NULL */
    int32_t *offsets;     /* [E + 1] out */
    int32_t *row_token;   /* [T*K] out: token of each row */
    int32_t *row_slot;    /* [T*K] out: slot t*K + k of each row */
    int32_t *slot_row;    /* [T*K] out: row of each slot */
    int32_t *load;        /* [E] += rows of each logical expert; may be NULL */
    int64_t tokens, active, experts;
};
/* y[t] = add[t] + sum_k weight[t,k] * rows[slot_row[t*K + k]], in slot order; a slot without a row
 * (-1) adds nothing. */
struct op_moe_combine {
    struct tensor y;      /* [T, D] out; may alias add */
    struct tensor rows;   /* [any, D] */
    struct tensor weight; /* [T, K]; absent: ones */
    struct tensor add;    /* [T, D]; absent: zero */
    const int32_t *slot_row;
    int64_t active; /* K */
};

/* ---- loss and optimizer ---- */

/* One chunk of the loss head. l = log softmax(logits); logp = l[target],
 * entropy = -sum exp(l) l, top = argmax (lower index on ties).
 * With is_gradient_wanted the logits are replaced by d(-sum coef * logp)/dlogits =
 * coef * (softmax - onehot). Rows with target < 0 give logp = entropy = 0 and a zero gradient. */
struct op_cross_entropy {
    struct tensor logits;   /* [n, V] in, and out as dlogits */
    const int32_t *targets; /* [n] */
    const float *coef;      /* [n]; may be NULL unless is_gradient_wanted */
    float *logp;            /* [n] out */
    float *entropy;         /* [n] out; may be NULL */
    int32_t *top;           /* [n] out; may be NULL */
    bool is_gradient_wanted;
};

/* AdamW (Loshchilov & Hutter), decoupled decay, g scaled by grad_scale first:
 *   m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 *   p -= lr * ( (m/c1) / (sqrt(v/c2) + eps) + decay * p ),  c1 = 1 - b1^t, c2 = 1 - b2^t
 * with the decay taken from p before the update. m and v are of the compute dtype, or both BF16:
 * then rounded to nearest even once p has been updated with the sums themselves. */
struct op_adamw {
    struct tensor p;    /* [1, n] master weights, in place */
    struct tensor g;    /* [1, n] */
    struct tensor m, v; /* [1, n] in place */
    double lr, beta1, beta2, eps, decay, grad_scale;
    double correction1, correction2; /* c1, c2 */
};

/* y += weight * (x - y): a running mean of x, with the decay 1 - weight. */
struct op_lerp {
    struct tensor y; /* [1, n] in place */
    struct tensor x; /* [1, n] */
    double weight;   /* 0 to 1 */
};

enum { SUMSQ_CHUNK = 65536 };
/* partial[i] = sum of squares of chunk i of SUMSQ_CHUNK elements, in double, one fixed order. */
struct op_sumsq {
    double *partial; /* [ceil(n / SUMSQ_CHUNK)] out */
    struct tensor x; /* [1, n] */
};

/* The operations, once. X(name): struct op_NAME is the parameter struct. */
#define OPS_PRODUCTS(X)                                                                            \
    X(matmul)                                                                                      \
    X(matmul_grouped)
#define OPS_OTHERS(X)                                                                              \
    X(round)                                                                                       \
    X(rmsnorm_fwd)                                                                                 \
    X(rmsnorm_bwd)                                                                                 \
    X(rope_table)                                                                                  \
    X(rope)                                                                                        \
    X(swiglu_fwd)                                                                                  \
    X(swiglu_bwd)                                                                                  \
    X(add)                                                                                         \
    X(sum_rows)                                                                                    \
    X(softmax_fwd)                                                                                 \
    X(softmax_bwd)                                                                                 \
    X(embedding_fwd)                                                                               \
    X(embedding_bwd)                                                                               \
    X(attention_fwd)                                                                               \
    X(attention_bwd)                                                                               \
    X(gate_fwd)                                                                                    \
    X(balance_fwd)                                                                                 \
    X(gate_bwd)                                                                                    \
    X(moe_drop)                                                                                    \
    X(moe_plan)                                                                                    \
    X(moe_combine)                                                                                 \
    X(cross_entropy)                                                                               \
    X(adamw)                                                                                       \
    X(lerp)                                                                                        \
    X(sumsq)
#define OPS(X) OPS_PRODUCTS(X) OPS_OTHERS(X)

struct op_table {
#define OP_MEMBER(name) void (*name)(struct stream * stream, const struct op_##name *op);
    OPS(OP_MEMBER)
#undef OP_MEMBER
};

#endif
