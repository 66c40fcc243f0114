/* The micro-kernel: m x n results in registers, one vector lane a result. */
#include "cpu/vec/matmul.h"

enum { LANES = VEC_LANES, MR = MATMUL_MR, NR = MATMUL_NR };

/* The rows of the kernel, each a copy of a statement guarded by r < m with a constant m. Written
 * out and not looped, because compilers keep an array of sums in registers only if its every index
 * is constant before they unroll anything. */
#define EACH_ROW_6(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#if MATMUL_MR == 6
#define EACH_ROW(DO) EACH_ROW_6(DO)
#else
#define EACH_ROW(DO) EACH_ROW_6(DO) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13)
#endif

/* a * b + c, or c and the dot products of the pairs of bf16 in a and b. */
VEC_INLINE vf multiply_add(vf a, vf b, vf c, bool is_dot) {
#ifdef VEC_BF16_DOT
    if (is_dot) return vf_dot_bf16(a, b, c);
#endif
    (void)is_dot;
    return vf_fma_in_place(a, b, c);
}

/* sums[r][v] += a[r] * b[v], one step of K. */
VEC_INLINE void step(vf sums[MR][2], const float *a, int64_t a_row, const float *b, int m, int v,
                     bool is_dot) {
    const vf b0 = vf_load(b), b1 = v > 1 ? vf_load(b + LANES) : vf_zero();
#define STEP_ROW(r)                                                                                \
    if (r < m) {                                                                                   \
        const vf a_r = vf_set1(a[r * a_row]);                                                      \
        sums[r][0] = multiply_add(a_r, b0, sums[r][0], is_dot);                                    \
        if (v > 1) sums[r][1] = multiply_add(a_r, b1, sums[r][1], is_dot);                         \
    }
    EACH_ROW(STEP_ROW)
    /* The next step's loads stay behind this one, or they take registers from the sums. */
    __asm__ volatile("" ::: "memory");
#undef STEP_ROW
}

VEC_INLINE void load(vf sums[MR][2], const struct matmul_step *x, int m, int v, int tail) {
    const float *c = x->c;
#define LOAD_ROW(r)                                                                                \
    if (r < m) {                                                                                   \
        if (v > 1) sums[r][0] = x->is_started ? vf_load(c) : vf_zero();                            \
        sums[r][v - 1] = x->is_started ? vf_load_n(c + (v - 1) * LANES, tail) : vf_zero();         \
        __builtin_prefetch(c, 1);                                                                  \
        c += x->c_stride;                                                                          \
    }
    EACH_ROW(LOAD_ROW)
#undef LOAD_ROW
}

VEC_INLINE void store(vf sums[MR][2], const struct matmul_step *x, int m, int v, int tail) {
    const vf first = v > 1 && x->bias ? vf_load(x->bias) : vf_zero();
    const vf last = x->bias ? vf_load_n(x->bias + (v - 1) * LANES, tail) : vf_zero();
    float *c = x->c;
#define STORE_ROW(r)                                                                               \
    if (r < m) {                                                                                   \
        if (x->bias) {                                                                             \
            if (v > 1) sums[r][0] = vf_add(sums[r][0], first);                                     \
            sums[r][v - 1] = vf_add(sums[r][v - 1], last);                                         \
        }                                                                                          \
        if (v > 1) vf_store(c, sums[r][0]);                                                        \
        if (tail == LANES)                                                                         \
            vf_store(c + (v - 1) * LANES, sums[r][v - 1]);                                         \
        else                                                                                       \
            vf_store_n(c + (v - 1) * LANES, sums[r][v - 1], tail);                                 \
        c += x->c_stride;                                                                          \
    }
    EACH_ROW(STORE_ROW)
#undef STORE_ROW
}

/* m rows and v vectors of columns, the last of them of `tail` lanes; a[r][p] is at
 * a + r * a_row + p * a_step. Inlined with constants m, v, a_row, a_step. */
VEC_INLINE void kernel(const struct matmul_step *x, int m, int v, int64_t a_row, int64_t a_step,
                       bool is_dot) {
    const float *a = x->a, *b = x->b;
    const int tail = x->n - (v - 1) * LANES;
    vf sums[MR][2];
    load(sums, x, m, v, tail);
    int64_t k = x->k;
    for (; k >= 4; k -= 4) {
        step(sums, a, a_row, b, m, v, is_dot);
        step(sums, a + a_step, a_row, b + NR, m, v, is_dot);
        step(sums, a + 2 * a_step, a_row, b + 2 * NR, m, v, is_dot);
        step(sums, a + 3 * a_step, a_row, b + 3 * NR, m, v, is_dot);
        a += 4 * a_step;
        b += 4 * NR;
    }
    for (; k > 0; k--) {
        step(sums, a, a_row, b, m, v, is_dot);
        a += a_step;
        b += NR;
    }
    store(sums, x, m, v, tail);
}

/* The kernel of every row count: one entry each, so that a tail costs what it holds. */
VEC_INLINE void kernel_any(const struct matmul_step *x, int v, int64_t a_row, int64_t a_step,
                           bool is_dot) {
    switch (x->m) {
    case 1: kernel(x, 1, v, a_row, a_step, is_dot); break;
    case 2: kernel(x, 2, v, a_row, a_step, is_dot); break;
    case 3: kernel(x, 3, v, a_row, a_step, is_dot); break;
    case 4: kernel(x, 4, v, a_row, a_step, is_dot); break;
    case 5: kernel(x, 5, v, a_row, a_step, is_dot); break;
    case 6: kernel(x, 6, v, a_row, a_step, is_dot); break;
#if MATMUL_MR > 6
    case 7: kernel(x, 7, v, a_row, a_step, is_dot); break;
    case 8: kernel(x, 8, v, a_row, a_step, is_dot); break;
    case 9: kernel(x, 9, v, a_row, a_step, is_dot); break;
    case 10: kernel(x, 10, v, a_row, a_step, is_dot); break;
    case 11: kernel(x, 11, v, a_row, a_step, is_dot); break;
    case 12: kernel(x, 12, v, a_row, a_step, is_dot); break;
    case 13: kernel(x, 13, v, a_row, a_step, is_dot); break;
    case 14: kernel(x, 14, v, a_row, a_step, is_dot); break;
#endif
    default: break;
    }
}

/* One function each: what is constant in it is worth a copy of the kernel. */
#define KERNEL(name, v, a_row, a_step, is_dot)                                                     \
    static void name(const struct matmul_step *x) { kernel_any(x, v, a_row, a_step, is_dot); }
KERNEL(rows_narrow, 1, MATMUL_A_STRIDE, 1, false)
KERNEL(rows_wide, 2, MATMUL_A_STRIDE, 1, false)
KERNEL(columns_narrow, 1, 1, MR, false)
KERNEL(columns_wide, 2, 1, MR, false)
#ifdef VEC_BF16_DOT
KERNEL(rows_narrow_dot, 1, MATMUL_A_STRIDE, 1, true)
KERNEL(rows_wide_dot, 2, MATMUL_A_STRIDE, 1, true)
KERNEL(columns_narrow_dot, 1, 1, MR, true)
KERNEL(columns_wide_dot, 2, 1, MR, true)
#endif

void VEC_NAME(matmul_step_rows)(const struct matmul_step *x) {
#ifdef VEC_BF16_DOT
    if (x->is_dot) {
        (x->n > LANES ? rows_wide_dot : rows_narrow_dot)(x);
        return;
    }
#endif
    (x->n > LANES ? rows_wide : rows_narrow)(x);
}

void VEC_NAME(matmul_step_columns)(const struct matmul_step *x) {
#ifdef VEC_BF16_DOT
    if (x->is_dot) {
        (x->n > LANES ? columns_wide_dot : columns_narrow_dot)(x);
        return;
    }
#endif
    (x->n > LANES ? columns_wide : columns_narrow)(x);
}
