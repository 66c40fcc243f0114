/* Products with few rows of A: the weights go from memory through registers once. */
#include "cpu/vec/matmul.h"
#include "cpu/vec/transpose.h"

enum {
    LANES = VEC_LANES,
    ROWS = MATMUL_STREAM_ROWS,
    STEPS = 4,  /* of K in one transposition */
    LINE = 16,  /* floats of a cache line */
    AHEAD = 64, /* floats */
};

/* A panel is one vector of columns: rows j + [0, LANES) of B. All is inlined with a constant m; n
 * is the panel's number of columns, which only the last one has fewer of. */

VEC_INLINE void load(vf sums[ROWS], const struct matmul_stream *x, int64_t j, int m, int n) {
    VEC_UNROLL
    for (int r = 0; r < m; r++)
        sums[r] = x->is_started ? vf_load_n(x->c + r * x->c_stride + j, n) : vf_zero();
}

VEC_INLINE void store(vf sums[ROWS], const struct matmul_stream *x, int64_t j, int m, int n) {
    const vf bias = x->bias ? vf_load_n(x->bias + j, n) : vf_zero();
    VEC_UNROLL
    for (int r = 0; r < m; r++) {
        if (x->bias) sums[r] = vf_add(sums[r], bias);
        vf_store_n(x->c + r * x->c_stride + j, sums[r], n);
    }
}

/* Asks for the line of every row of the panel that is AHEAD of step p, or of the panel below: into
 * the second cache, since rows a multiple of 4 KiB apart share few places in the first. */
VEC_INLINE void fetch(const float *b, int64_t stride, int64_t p, int64_t k) {
    const float *first = b + (p + AHEAD < k ? p + AHEAD : LANES * stride + p + AHEAD - k);
    VEC_UNROLL
    for (int r = 0; r < LANES; r++) __builtin_prefetch(first + r * stride, 0, 2);
}

/* STEPS steps of K from p on. */
VEC_INLINE void steps(vf sums[ROWS], const struct matmul_stream *x, const float *b, int64_t p,
                      int m) {
    __m256 first[STEPS], second[STEPS];
    transpose_8x4(first, b + p, x->b_stride);
    transpose_8x4(second, b + (LANES - 8) * x->b_stride + p, x->b_stride);
    VEC_UNROLL
    for (int i = 0; i < STEPS; i++) {
        const vf w = transpose_join(first[i], second[i]);
        VEC_UNROLL
        for (int r = 0; r < m; r++) sums[r] = vf_fma(vf_set1(x->a[r][p + i]), w, sums[r]);
    }
}

/* Steps [p, k) one by one. */
VEC_INLINE void finish(vf sums[ROWS], const struct matmul_stream *x, const float *b, int64_t p,
                       int m, int n) {
    float lanes[LANES] = {0};
    for (; p < x->k; p++) {
        for (int r = 0; r < n; r++) lanes[r] = b[r * x->b_stride + p];
        const vf w = vf_load(lanes);
        VEC_UNROLL
        for (int r = 0; r < m; r++) sums[r] = vf_fma(vf_set1(x->a[r][p]), w, sums[r]);
    }
}

/* A line of every row at a time: a line may not be found again. */
VEC_INLINE void stream(const struct matmul_stream *x, int m) {
    const float *b = x->b;
    for (int64_t j = 0; j < x->n; j += LANES, b += LANES * x->b_stride) {
        const int n = x->n - j < LANES ? (int)(x->n - j) : LANES;
        vf sums[ROWS];
        load(sums, x, j, m, n);
        int64_t p = 0;
        for (; n == LANES && p + LINE <= x->k; p += LINE) {
            fetch(b, x->b_stride, p, x->k);
            for (int q = 0; q < LINE; q += STEPS) steps(sums, x, b, p + q, m);
        }
        for (; n == LANES && p + STEPS <= x->k; p += STEPS) steps(sums, x, b, p, m);
        finish(sums, x, b, p, m, n);
        store(sums, x, j, m, n);
    }
}

void VEC_NAME(matmul_stream)(const struct matmul_stream *x) {
    switch (x->m) {
    case 1: stream(x, 1); break;
    case 2: stream(x, 2); break;
    case 3: stream(x, 3); break;
    case 4: stream(x, 4); break;
    case 5: stream(x, 5); break;
    case 6: stream(x, 6); break;
    case 7: stream(x, 7); break;
    case 8: stream(x, 8); break;
    default: break;
    }
}
