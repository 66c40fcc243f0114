/* Products with few rows of A: the weights go from memory through registers once. */
#include "cpu/vec/matmul.h"
#include "cpu/vec/transpose.h"

enum {
    LANES = VEC_LANES,
    NR = MATMUL_NR,
    STEPS = 4,  /* of K at a time */
    AHEAD = 64, /* floats of each row that are fetched in advance */
};

/* out[i] lane r is b[r][i] for `rows` rows of B; lanes beyond repeat the last row. */
VEC_INLINE void columns_of(vf out[STEPS], const float *b, int64_t stride, int rows) {
    const float *row[LANES];
    VEC_UNROLL
    for (int r = 0; r < LANES; r++) row[r] = b + (r < rows ? r : rows - 1) * stride;
    __m256 first[STEPS], second[STEPS];
    transpose_8x4(first, row, 0);
    transpose_8x4(second, row + LANES - 8, 0);
    VEC_UNROLL
    for (int i = 0; i < STEPS; i++) out[i] = transpose_join(first[i], second[i]);
}

/* The same for one step. */
VEC_INLINE vf column_of(const float *b, int64_t stride, int rows) {
    float lanes[LANES];
    for (int r = 0; r < LANES; r++) lanes[r] = b[(r < rows ? r : rows - 1) * stride];
    return vf_load(lanes);
}

/* All of K for columns [j, j + (v - 1) * LANES + rows). Inlined with constants m, v. */
VEC_INLINE void panel(const struct matmul_stream *x, int64_t j, int m, int v, int rows) {
    const int64_t stride = x->b_stride;
    const float *b = x->b + j * stride;
    vf sums[MATMUL_STREAM_ROWS][2];
    VEC_UNROLL
    for (int r = 0; r < m; r++) {
        const float *c = x->c + r * x->c_stride + j;
        if (v > 1) sums[r][0] = x->is_started ? vf_load(c) : vf_zero();
        sums[r][v - 1] = x->is_started ? vf_load_n(c + (v - 1) * LANES, rows) : vf_zero();
    }
    int64_t p = 0;
    for (; p + STEPS <= x->k; p += STEPS) {
        VEC_UNROLL
        for (int h = 0; h < v; h++) {
            vf w[STEPS];
            columns_of(w, b + h * LANES * stride + p, stride, h == v - 1 ? rows : LANES);
            VEC_UNROLL
            for (int i = 0; i < STEPS; i++) {
                VEC_UNROLL
                for (int r = 0; r < m; r++)
                    sums[r][h] = vf_fma(vf_set1(x->a[r][p + i]), w[i], sums[r][h]);
            }
        }
    }
    for (; p < x->k; p++) {
        VEC_UNROLL
        for (int h = 0; h < v; h++) {
            const vf w = column_of(b + h * LANES * stride + p, stride, h == v - 1 ? rows : LANES);
            VEC_UNROLL
            for (int r = 0; r < m; r++) sums[r][h] = vf_fma(vf_set1(x->a[r][p]), w, sums[r][h]);
        }
    }
    VEC_UNROLL
    for (int r = 0; r < m; r++) {
        VEC_UNROLL
        for (int h = 0; h < v; h++) {
            const int lanes = h == v - 1 ? rows : LANES;
            float *c = x->c + r * x->c_stride + j + h * LANES;
            vf sum = sums[r][h];
            if (x->bias) sum = vf_add(sum, vf_load_n(x->bias + j + h * LANES, lanes));
            vf_store_n(c, sum, lanes);
        }
    }
}

VEC_INLINE void stream(const struct matmul_stream *x, int m) {
    int64_t j = 0;
    for (; j + NR <= x->n; j += NR) panel(x, j, m, 2, LANES);
    const int left = (int)(x->n - j);
    if (left > LANES)
        panel(x, j, m, 2, left - LANES);
    else if (left > 0)
        panel(x, j, m, 1, left);
}

void VEC_NAME(matmul_stream)(const struct matmul_stream *x) {
    switch (x->m) {
    case 1: stream(x, 1); break;
    case 2: stream(x, 2); break;
    case 3: stream(x, 3); break;
    case 4: stream(x, 4); break;
    default: break;
    }
}
