/* The table of cases. Widths stand at and beside multiples of 8 and 16 lanes; products also at and
 * beside the sizes of register tiles and cache blocks. */
#include "op_cases.h"

/* clang-format off */
#define NARROW(X) X(1) X(2)
#define WIDE(X) X(7) X(8) X(9) X(15) X(16) X(17) X(31) X(32) X(33) X(65) X(300)

/* One case: CASE(op, flags, fields). */
#define CASE(name, flags_, ...) {.kind = &case_kind_##name, .flags = (flags_), __VA_ARGS__},

/* ---- products ---- */

/* M, N, K */
#define PRODUCTS(X)                                                                               \
    X(1, 1, 1) X(1, 17, 9) X(2, 8, 16) X(3, 15, 7) X(4, 16, 8) X(5, 33, 31) X(6, 16, 64)          \
    X(7, 17, 65) X(8, 31, 100) X(9, 64, 33) X(12, 24, 48) X(13, 32, 1) X(14, 1, 50)               \
    X(17, 47, 129) X(31, 49, 127) X(64, 64, 64) X(65, 63, 257) X(97, 101, 103) X(1, 300, 513)     \
    X(300, 7, 40) X(130, 260, 390)

#define PRODUCT(m, n, k)                                                                          \
    CASE(matmul, 0, .form = MATMUL_NT, .T = m, .N = n, .K = k)                                    \
    CASE(matmul, 0, .form = MATMUL_NN, .T = m, .N = n, .K = k)                                    \
    CASE(matmul, CASE_ACCUMULATE, .form = MATMUL_TN, .T = m, .N = n, .K = k)

#define PRODUCT_VARIANTS(form_)                                                                   \
    CASE(matmul, CASE_BIAS, .form = form_, .T = 19, .N = 37, .K = 53)                             \
    CASE(matmul, CASE_ACCUMULATE, .form = form_, .T = 19, .N = 37, .K = 53)                       \
    CASE(matmul, CASE_ACCUMULATE | CASE_BIAS, .form = form_, .T = 9, .N = 20, .K = 600)           \
    CASE(matmul, 0, .form = form_, .T = 9, .N = 20, .K = 20)

/* Operands that are rounded: what precision.h's BF16 and FP8 ask for. Sizes beside the tiles of
 * 128 steps, and of 128 columns for blocks of weights. */
#define ROUNDED_CASE(op, form_, a, b, ...)                                                        \
    CASE(op, (form_) == MATMUL_TN ? CASE_ACCUMULATE : 0, .form = form_, .rounding = a,            \
         .rounding_b = b, __VA_ARGS__)
#define ROUNDED_FORMS(op, ...)                                                                    \
    ROUNDED_CASE(op, MATMUL_NT, ROUND_BF16, ROUND_BF16, __VA_ARGS__)                              \
    ROUNDED_CASE(op, MATMUL_NN, ROUND_BF16, ROUND_BF16, __VA_ARGS__)                              \
    ROUNDED_CASE(op, MATMUL_TN, ROUND_BF16, ROUND_BF16, __VA_ARGS__)                              \
    ROUNDED_CASE(op, MATMUL_NT, ROUND_E4M3, ROUND_E4M3_BLOCKS, __VA_ARGS__)                       \
    ROUNDED_CASE(op, MATMUL_NN, ROUND_E4M3_POW2, ROUND_E4M3_BLOCKS, __VA_ARGS__)                  \
    ROUNDED_CASE(op, MATMUL_TN, ROUND_E4M3, ROUND_E4M3_POW2, __VA_ARGS__)                         \
    ROUNDED_CASE(op, MATMUL_NT, ROUND_NONE, ROUND_E4M3, __VA_ARGS__)                              \
    ROUNDED_CASE(op, MATMUL_NN, ROUND_E4M3, ROUND_NONE, __VA_ARGS__)
#define ROUNDED(m, n, k) ROUNDED_FORMS(matmul, .T = m, .N = n, .K = k)
#define ROUNDED_GROUPED(r, n, k, e) ROUNDED_FORMS(matmul_grouped, .T = r, .N = n, .K = k, .E = e)

#define ROUND_CASES(t, c)                                                                         \
    CASE(round, 0, .T = t, .C = c, .rounding = ROUND_BF16)                                        \
    CASE(round, CASE_ALIASED, .T = t, .C = c, .rounding = ROUND_E4M3)                             \
    CASE(round, 0, .T = t, .C = c, .rounding = ROUND_E4M3)                                        \
    CASE(round, 0, .T = t, .C = c, .rounding = ROUND_E4M3_POW2)                                   \
    CASE(round, CASE_ALIASED, .T = t, .C = c, .rounding = ROUND_E5M6_POW2)                        \
    CASE(round, 0, .T = t, .C = c, .rounding = ROUND_E4M3_BLOCKS)

/* Offsets and gathers of the weight gradient: of a, of b, of both. */
#define GROUPED_CASE(form_, flags, r, n, k, e)                                                    \
    CASE(matmul_grouped, flags, .form = form_, .T = r, .N = n, .K = k, .E = e)
#define GROUPED(r, n, k, e)                                                                       \
    GROUPED_CASE(MATMUL_NT, 0, r, n, k, e)                                                        \
    GROUPED_CASE(MATMUL_NT, CASE_GATHER, r, n, k, e)                                              \
    GROUPED_CASE(MATMUL_NN, 0, r, n, k, e)                                                        \
    GROUPED_CASE(MATMUL_NN, CASE_GATHER, r, n, k, e)                                              \
    GROUPED_CASE(MATMUL_TN, 0, r, n, k, e)                                                        \
    GROUPED_CASE(MATMUL_TN, CASE_GATHER | CASE_ACCUMULATE, r, n, k, e)                            \
    GROUPED_CASE(MATMUL_TN, CASE_SLOTS | CASE_ACCUMULATE, r, n, k, e)                             \
    GROUPED_CASE(MATMUL_TN, CASE_SLOTS | CASE_GATHER, r, n, k, e)

/* ---- rows ---- */

#define ROWS(c)                                                                                   \
    CASE(rmsnorm_fwd, 0, .T = 5, .C = c)                                                          \
    CASE(rmsnorm_fwd, CASE_ALIASED | CASE_OPTIONAL, .T = 3, .C = c)                               \
    CASE(rmsnorm_bwd, CASE_ALIASED | CASE_OPTIONAL, .T = 4, .C = c)                               \
    CASE(swiglu_fwd, 0, .T = 3, .C = c)                                                           \
    CASE(swiglu_bwd, 0, .T = 3, .C = c)                                                           \
    CASE(swiglu_bwd, CASE_WEIGHTED | CASE_SLOTS | CASE_ALIASED, .T = 7, .C = c)                   \
    CASE(swiglu_bwd, CASE_WEIGHTED | CASE_OPTIONAL, .T = 4, .C = c)                               \
    CASE(add, 0, .T = 3, .C = c)                                                                  \
    CASE(add, CASE_ALIASED, .T = 3, .C = c)                                                       \
    CASE(sum_rows, 0, .T = 9, .C = c)                                                             \
    CASE(softmax_fwd, 0, .T = 3, .C = c)                                                          \
    CASE(softmax_fwd, CASE_ALIASED, .T = 3, .C = c)                                               \
    CASE(softmax_bwd, 0, .T = 3, .C = c)                                                          \
    CASE(softmax_bwd, CASE_ALIASED, .T = 3, .C = c)                                               \
    CASE(embedding_fwd, 0, .T = 6, .C = c, .N = 11)                                               \
    CASE(embedding_bwd, 0, .T = 40, .C = c, .N = 11)                                              \
    CASE(rope_table, 0, .T = 3, .Dr = 2 * (c))                                                    \
    CASE(rope, 0, .T = 4, .H = 1, .Dr = 2 * (c))                                                  \
    CASE(rope, CASE_HALF, .T = 4, .H = 3, .Dr = 2 * (c), .Dn = 5)                                 \
    CASE(rope, CASE_INVERSE, .T = 4, .H = 2, .Dr = 2 * (c), .Dn = 1)                              \
    CASE(rope, CASE_INVERSE | CASE_HALF, .T = 4, .H = 2, .Dr = 2 * (c))                           \
    CASE(cross_entropy, CASE_GRADIENT | CASE_OPTIONAL, .T = 5, .C = c)                            \
    CASE(cross_entropy, 0, .T = 2, .C = c)                                                        \
    CASE(adamw, 0, .C = c)                                                                        \
    CASE(lerp, 0, .C = c)                                                                         \
    CASE(sumsq, 0, .C = c)                                                                        \
    CASE(moe_combine, 0, .T = 6, .A = 3, .C = c)                                                  \
    CASE(moe_combine, CASE_WEIGHTED | CASE_OPTIONAL, .T = 6, .A = 2, .C = c)                      \
    CASE(moe_combine, CASE_WEIGHTED | CASE_ALIASED, .T = 5, .A = 4, .C = c)                       \
    CASE(moe_combine, CASE_ALIASED, .T = 5, .A = 1, .C = c)                                       \
    CASE(moe_combine, CASE_WEIGHTED | CASE_DROPPED, .T = 6, .A = 3, .C = c)

/* Without `add` the gradient of a row of one or two columns cancels to nothing. */
#define NORM(c) CASE(rmsnorm_bwd, 0, .T = 7, .C = c)

/* ---- attention: heads of query and key, dims nope, rope, value ---- */

#define HEADS(spans_, h, hk, dn, dr, dv)                                                          \
    CASE(attention_fwd, CASE_OPTIONAL, .spans = spans_, .H = h, .Hk = hk, .Dn = dn, .Dr = dr,     \
         .Dv = dv)                                                                                \
    CASE(attention_bwd, 0, .spans = spans_, .H = h, .Hk = hk, .Dn = dn, .Dr = dr, .Dv = dv)
#define CACHED(h, hk, dn, dr, dv)                                                                 \
    CASE(attention_fwd, 0, .spans = 4, .H = h, .Hk = hk, .Dn = dn, .Dr = dr, .Dv = dv)

/* ---- experts ---- */

#define GATE_CASE(name, method, flags, e, a, g, gk, ...)                                          \
    CASE(name, flags, .form = method, .E = e, .A = a, .G = g, .Gk = gk, __VA_ARGS__)
#define GATE(method, t, e, a, g, gk, flags)                                                       \
    GATE_CASE(gate_fwd, method, flags, e, a, g, gk, .T = t)                                       \
    GATE_CASE(gate_fwd, method, (flags) | CASE_GIVEN | CASE_ALIASED, e, a, g, gk, .T = t)         \
    GATE_CASE(gate_bwd, method, flags, e, a, g, gk, .T = t)                                       \
    GATE_CASE(gate_bwd, method, flags, e, a, g, gk, .spans = 3)
#define BALANCE(spans_, e, a)                                                                     \
    CASE(balance_fwd, 0, .spans = spans_, .E = e, .A = a)                                         \
    CASE(balance_fwd, CASE_GIVEN, .spans = spans_, .E = e, .A = a)
#define BALANCE_DEVICES(spans_, e, a, d, m)                                                       \
    CASE(balance_fwd, 0, .spans = spans_, .E = e, .A = a, .G = d, .Gk = m)                        \
    CASE(balance_fwd, CASE_GIVEN, .spans = spans_, .E = e, .A = a, .G = d, .Gk = m)
#define PLAN(t, e, a)                                                                             \
    CASE(moe_plan, 0, .T = t, .E = e, .A = a)                                                     \
    CASE(moe_plan, CASE_GIVEN | CASE_OPTIONAL, .T = t, .E = e, .A = a)                            \
    CASE(moe_plan, CASE_DROPPED | CASE_OPTIONAL, .T = t, .E = e, .A = a)
/* `spans`, and Gk in place of the capacity */
#define DROP(spans_, e, a, d, capacity)                                                           \
    CASE(moe_drop, 0, .spans = spans_, .E = e, .A = a, .G = d, .Gk = capacity)                    \
    CASE(moe_drop, CASE_OPTIONAL, .spans = spans_, .E = e, .A = a, .G = d, .Gk = capacity)

const struct op_case op_cases[] = {
    PRODUCTS(PRODUCT)
    PRODUCT_VARIANTS(MATMUL_NT) PRODUCT_VARIANTS(MATMUL_NN) PRODUCT_VARIANTS(MATMUL_TN)
    GROUPED(1, 9, 7, 1) GROUPED(23, 17, 33, 4) GROUPED(64, 16, 8, 16) GROUPED(150, 70, 65, 5)

    ROUNDED(1, 1, 1) ROUNDED(3, 130, 127) ROUNDED(8, 16, 129) ROUNDED(17, 129, 256)
    ROUNDED(65, 257, 128) ROUNDED(130, 300, 390)
    ROUNDED_GROUPED(23, 17, 33, 4) ROUNDED_GROUPED(300, 130, 140, 3)
    ROUND_CASES(1, 1) ROUND_CASES(7, 127) ROUND_CASES(130, 128) ROUND_CASES(61, 129)
    ROUND_CASES(257, 300)

    NARROW(ROWS) WIDE(ROWS) WIDE(NORM)
    CASE(rmsnorm_bwd, CASE_OPTIONAL, .T = 150, .C = 100)
    CASE(sum_rows, 0, .T = 300, .C = 70)
    CASE(embedding_bwd, 0, .T = 500, .C = 70, .N = 4)
    CASE(add, 0, .T = 200, .C = 100)
    CASE(cross_entropy, CASE_GRADIENT | CASE_OPTIONAL, .T = 3, .C = 4099)
    CASE(adamw, 0, .C = 70001)
    CASE(lerp, 0, .C = 70001)
    CASE(sumsq, 0, .C = SUMSQ_CHUNK - 1) CASE(sumsq, 0, .C = SUMSQ_CHUNK)
    CASE(sumsq, 0, .C = SUMSQ_CHUNK + 1) CASE(sumsq, 0, .C = 3 * SUMSQ_CHUNK + 77)

    HEADS(1, 1, 1, 1, 0, 1) HEADS(1, 2, 2, 8, 8, 8) HEADS(1, 3, 1, 7, 2, 9)
    HEADS(1, 4, 2, 16, 0, 16) HEADS(2, 2, 2, 32, 16, 32) HEADS(2, 4, 2, 17, 0, 15)
    HEADS(3, 3, 3, 15, 6, 33) HEADS(3, 6, 2, 64, 0, 64) HEADS(3, 2, 2, 128, 64, 128)
    HEADS(5, 2, 2, 31, 18, 24) HEADS(5, 2, 1, 512, 64, 512)
    CACHED(2, 2, 32, 16, 32) CACHED(4, 2, 33, 0, 31) CACHED(6, 1, 9, 4, 17)

    GATE(GATE_GREEDY, 5, 4, 2, 1, 1, CASE_SOFTMAX)
    GATE(GATE_GREEDY, 9, 64, 6, 1, 1, CASE_SOFTMAX)
    GATE(GATE_GREEDY, 3, 1, 1, 1, 1, 0)
    GATE(GATE_GROUP_LIMITED, 9, 24, 6, 8, 3, CASE_SOFTMAX)
    GATE(GATE_GROUP_LIMITED, 4, 160, 6, 8, 3, CASE_SOFTMAX | CASE_NORMALISED)
    GATE(GATE_NOAUX_TC, 9, 16, 4, 1, 1, CASE_NORMALISED | CASE_BIAS)
    GATE(GATE_NOAUX_TC, 9, 32, 4, 4, 2, CASE_NORMALISED | CASE_BIAS)
    GATE(GATE_NOAUX_TC, 5, 256, 8, 8, 4, CASE_NORMALISED | CASE_BIAS)
    GATE(GATE_NOAUX_TC, 7, 33, 5, 3, 2, 0)
    GATE(GATE_NOAUX_TC, 7, 18, 4, 6, 2, CASE_NORMALISED)
    BALANCE(1, 4, 2) BALANCE(2, 16, 4) BALANCE(3, 33, 5) BALANCE(3, 9, 9) BALANCE(5, 1, 1)
    BALANCE_DEVICES(1, 4, 2, 2, 1) BALANCE_DEVICES(2, 24, 6, 8, 3) BALANCE_DEVICES(3, 33, 5, 3, 2)
    BALANCE_DEVICES(5, 6, 6, 6, 6)
    PLAN(0, 5, 2) PLAN(1, 1, 1) PLAN(7, 8, 2) PLAN(33, 16, 4) PLAN(300, 33, 6) PLAN(1000, 64, 8)
    DROP(1, 4, 2, 2, 1) DROP(2, 24, 6, 8, 3) DROP(3, 33, 5, 3, 17) DROP(3, 16, 4, 4, 1000)
    DROP(5, 6, 6, 6, 2) DROP(5, 1, 1, 1, 1)
};
/* clang-format on */
const int64_t op_cases_count = sizeof op_cases / sizeof *op_cases;
