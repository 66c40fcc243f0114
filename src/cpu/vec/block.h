/* Small products inside attention: operands are blocks in thread scratch, results blocks in scratch
 * or in a tensor. The micro-kernel is that of matmul_kernel.c (MR rows times one packed panel of NR
 * columns, results in registers, one chain of fused multiply-adds over k in ascending order) with
 * other strides and other beginnings and ends. */
#ifndef CPU_VEC_BLOCK_H
#define CPU_VEC_BLOCK_H

#include "cpu/vec/matmul.h"

#ifdef VEC_ISA_AVX2
#define BLOCK_MR 6
#else
#define BLOCK_MR 12
#endif
enum { BLOCK_NR = MATMUL_NR };

enum block_form {
    BLOCK_ROWS,    /* a[i][p] at a + i * a_stride + p */
    BLOCK_COLUMNS, /* a[i][p] at a + p * a_stride + i */
};
enum block_start {
    BLOCK_FROM_ZERO,
    BLOCK_FROM_C,        /* the chains go on from what C holds */
    BLOCK_FROM_SCALED_C, /* C times its row's factor first */
};

/* C[m, n] = (start + A[m, k] B[k, n]) * alpha, m <= MR, n <= NR */
struct block {
    const float *a;
    const float *b; /* [k, NR], zeros beyond column n */
    float *c;       /* n columns; the others are not touched */
    int64_t a_stride, c_stride;
    int64_t k;
    int m, n;
    enum block_start start;
    const float *factor; /* [m] with BLOCK_FROM_SCALED_C */
    float alpha;         /* 1 leaves the sums as they are */
};

VEC_INLINE void block_load(vf sums[BLOCK_MR][2], const struct block *x, int m, int v, int tail) {
    if (x->start == BLOCK_FROM_ZERO) {
        VEC_UNROLL
        for (int r = 0; r < m; r++) {
            sums[r][0] = vf_zero();
            if (v > 1) sums[r][1] = vf_zero();
        }
        return;
    }
    VEC_UNROLL
    for (int r = 0; r < m; r++) {
        const float *c = x->c + r * x->c_stride;
        if (v > 1) sums[r][0] = vf_load(c);
        sums[r][v - 1] = tail == VEC_LANES ? vf_load(c + (v - 1) * VEC_LANES)
                                           : vf_load_n(c + (v - 1) * VEC_LANES, tail);
    }
    if (x->start != BLOCK_FROM_SCALED_C) return;
    VEC_UNROLL
    for (int r = 0; r < m; r++) {
        const vf factor = vf_set1(x->factor[r]);
        sums[r][0] = vf_mul(sums[r][0], factor);
        if (v > 1) sums[r][1] = vf_mul(sums[r][1], factor);
    }
}

VEC_INLINE void block_store(vf sums[BLOCK_MR][2], const struct block *x, int m, int v, int tail) {
    const vf alpha = vf_set1(x->alpha);
    VEC_UNROLL
    for (int r = 0; r < m; r++) {
        float *c = x->c + r * x->c_stride;
        const vf last = vf_mul(sums[r][v - 1], alpha);
        if (v > 1) vf_store(c, vf_mul(sums[r][0], alpha));
        if (tail == VEC_LANES)
            vf_store(c + (v - 1) * VEC_LANES, last);
        else
            vf_store_n(c + (v - 1) * VEC_LANES, last, tail);
    }
}

/* One step of k: sums[r][v] += a[r] * b[v]. */
VEC_INLINE void block_step(vf sums[BLOCK_MR][2], const float *a, int64_t a_row, const float *b,
                           int m, int v) {
    const vf b0 = vf_load(b), b1 = v > 1 ? vf_load(b + VEC_LANES) : vf_zero();
    VEC_UNROLL
    for (int r = 0; r < m; r++) {
        const vf a_r = vf_set1(a[r * a_row]);
        sums[r][0] = vf_fma(a_r, b0, sums[r][0]);
        if (v > 1) sums[r][1] = vf_fma(a_r, b1, sums[r][1]);
    }
}

/* Inlined with constants m, v and form. */
VEC_INLINE void block_kernel(const struct block *x, int m, int v, enum block_form form) {
    const int tail = x->n - (v - 1) * VEC_LANES;
    const int64_t a_row = form == BLOCK_ROWS ? x->a_stride : 1;
    const int64_t a_step = form == BLOCK_ROWS ? 1 : x->a_stride;
    const float *a = x->a, *b = x->b;
    vf sums[BLOCK_MR][2];
    block_load(sums, x, m, v, tail);
    int64_t k = x->k;
    for (; k >= 2; k -= 2) {
        block_step(sums, a, a_row, b, m, v);
        block_step(sums, a + a_step, a_row, b + BLOCK_NR, m, v);
        a += 2 * a_step;
        b += 2 * BLOCK_NR;
    }
    if (k > 0) block_step(sums, a, a_row, b, m, v);
    block_store(sums, x, m, v, tail);
}

/* Every number of rows: MR, or pieces of 4, 2 and 1, so that a tail costs about what it holds. */
VEC_INLINE void block_any(const struct block *x, int v, enum block_form form) {
    if (x->m == BLOCK_MR) {
        block_kernel(x, BLOCK_MR, v, form);
        return;
    }
    struct block part = *x;
    for (int m = 4; part.m > 0;) {
        if (part.m < m) {
            m /= 2;
            continue;
        }
        switch (m) {
        case 4: block_kernel(&part, 4, v, form); break;
        case 2: block_kernel(&part, 2, v, form); break;
        default: block_kernel(&part, 1, v, form); break;
        }
        part.m -= m;
        part.a += m * (form == BLOCK_ROWS ? part.a_stride : 1);
        part.c += m * part.c_stride;
        if (part.start == BLOCK_FROM_SCALED_C) part.factor += m;
    }
}

void VEC_NAME(block_rows)(const struct block *x);
void VEC_NAME(block_columns)(const struct block *x);

#endif
