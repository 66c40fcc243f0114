/* Packing: operands copied into the order in which the micro-kernel reads them. */
#include "cpu/vec/matmul.h"
#include "cpu/vec/transpose.h"

enum {
    LANES = VEC_LANES,
    MR = MATMUL_MR,
    NR = MATMUL_NR,
    GROUP = 8, /* rows of one transposition */
    LINE = 16, /* floats of a cache line */
    AHEAD = 4, /* rows */
};

/* Asks for columns [at, at + n) of a row that is copied some rows later: rows are short or
 * gathered, and the processor does not see far. */
VEC_INLINE void fetch_row(const struct matmul_rows *x, int64_t r, int64_t end, int64_t at,
                          int64_t n) {
    if (r >= end) return;
    const float *row = matmul_row(x, r) + at;
    for (int64_t i = 0; i < n; i += LINE) __builtin_prefetch(row + i);
}

/* Eight columns of a panel, to[p * NR + (0..7)], from eight rows of B. */
static void transpose_group(float *to, const float *from, int64_t stride, int64_t k) {
    int64_t p = 0;
    for (; p + 4 <= k; p += 4) {
        __m256 out[4];
        transpose_8x4(out, from + p, stride);
        for (int i = 0; i < 4; i++) _mm256_storeu_ps(to + (p + i) * NR, out[i]);
    }
    for (; p < k; p++)
        for (int r = 0; r < GROUP; r++) to[p * NR + r] = from[r * stride + p];
}

/* Fewer than eight: columns beyond n become zero. */
static void transpose_tail(float *to, const float *from, int64_t stride, int64_t n, int64_t k) {
    for (int64_t p = 0; p < k; p++)
        for (int64_t r = 0; r < GROUP; r++) to[p * NR + r] = r < n ? from[r * stride + p] : 0.0f;
}

void VEC_NAME(matmul_pack_transposed)(float *to, const struct matmul_rows *b, int64_t j0, int64_t n,
                                      int64_t p0, int64_t k) {
    for (int64_t j = 0; j < n; j += NR, to += matmul_b_panel(k)) {
        for (int64_t g = 0; g < NR; g += GROUP) {
            const int64_t left = n - j - g;
            const float *from = b->data + (j0 + (left > 0 ? j + g : 0)) * b->stride + p0;
            if (left >= GROUP)
                transpose_group(to + g, from, b->stride, k);
            else
                transpose_tail(to + g, from, b->stride, left, k);
        }
    }
}

void VEC_NAME(matmul_pack_straight)(float *to, const struct matmul_rows *b, int64_t j0, int64_t n,
                                    int64_t p0, int64_t k) {
    const int64_t whole = n / NR * NR;
    const int tail = (int)(n - whole);
    for (int64_t p = 0; p < k; p++) {
        const float *row = matmul_row(b, p0 + p) + j0;
        fetch_row(b, p0 + p + AHEAD, p0 + k, j0, n);
        float *at = to + p * NR;
        for (int64_t j = 0; j < whole; j += NR, at += matmul_b_panel(k)) {
            vf_store(at, vf_load(row + j));
            vf_store(at + LANES, vf_load(row + j + LANES));
        }
        if (tail == 0) continue;
        vf_store(at, vf_load_n(row + whole, tail < LANES ? tail : LANES));
        vf_store(at + LANES,
                 tail > LANES ? vf_load_n(row + whole + LANES, tail - LANES) : vf_zero());
    }
}

void VEC_NAME(matmul_pack_rows)(float *to, const struct matmul_rows *a, int64_t i0, int64_t m,
                                int64_t p0, int64_t k) {
    for (int64_t i = 0; i < m; i++, to += MATMUL_A_STRIDE) {
        const float *row = matmul_row(a, i0 + i) + p0;
        if (a->gather) fetch_row(a, i0 + i + AHEAD, i0 + m, p0, k);
        int64_t p = 0;
        for (; p + LANES <= k; p += LANES) vf_store(to + p, vf_load(row + p));
        for (; p < k; p++) to[p] = row[p];
    }
}

/* Vectors are stored MR apart and overlap: each is cut to MR columns by the next one. */
void VEC_NAME(matmul_pack_columns)(float *to, const struct matmul_rows *a, int64_t i0, int64_t m,
                                   int64_t p0, int64_t k) {
    for (int64_t p = 0; p < k; p++) {
        const float *row = matmul_row(a, p0 + p) + i0;
        fetch_row(a, p0 + p + AHEAD, p0 + k, i0, m);
        float *at = to + p * MR;
        int64_t i = 0;
        for (; i + LANES <= m; i += MR, at += matmul_a_panel(k)) vf_store(at, vf_load(row + i));
        for (; i < m; i += MR, at += matmul_a_panel(k)) {
            const int64_t left = m - i;
            vf_store(at, vf_load_n(row + i, left < LANES ? (int)left : LANES));
        }
    }
}
