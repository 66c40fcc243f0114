/* Packed operands as pairs of bf16, for the dot product of pairs; and the loop that measures how
 * fast that is. */
#include "cpu/peak_kernels.h"
#include "cpu/vec/matmul.h"
#include "cpu/vec/round.h"

#ifdef VEC_BF16_DOT

enum { LANES = VEC_LANES, MR = MATMUL_MR, NR = MATMUL_NR };

/* Words of two steps, rounded. */
VEC_INLINE vf pair(vf even, vf odd) {
    const vi upper = vi_set1((int32_t)0xffff0000u);
    return vf_bits(
        vi_or(vi_srl(vi_bits(round_bf16(even)), 16), vi_and(vi_bits(round_bf16(odd)), upper)));
}

/* 2 * LANES floats become LANES words; of the last ones, n floats. */
void VEC_NAME(matmul_pair_rows)(float *a, int64_t m, int64_t k) {
    for (int64_t i = 0; i < m; i++, a += MATMUL_A_STRIDE) {
        for (int64_t p = 0; p < k; p += 2 * LANES) {
            const int64_t left = k - p;
            const int first = left < LANES ? (int)left : LANES;
            const int second = left < 2 * LANES ? (int)left - first : LANES;
            vf even, odd;
            vf_unzip(vf_load_n(a + p, first), vf_load_n(a + p + first, second), &even, &odd);
            vf_store_n(a + p / 2, pair(even, odd), (first + second + 1) / 2);
        }
    }
}

/* `width` lanes of each of k steps that are `stride` floats apart. Words are written where both of
 * their steps have been read. */
VEC_INLINE void pair_lanes(float *x, int64_t k, int64_t stride, int width) {
    for (int64_t p = 0; p < k; p += 2) {
        const vf even = vf_load_n(x + p * stride, width);
        const vf odd = p + 1 < k ? vf_load_n(x + (p + 1) * stride, width) : vf_zero();
        vf_store_n(x + p / 2 * stride, pair(even, odd), width);
    }
}

void VEC_NAME(matmul_pair_columns)(float *a, int64_t m, int64_t k) {
    for (int64_t i = 0; i < m; i += MR, a += matmul_a_panel(k)) pair_lanes(a, k, MR, MR);
}

void VEC_NAME(matmul_pair_b)(float *b, int64_t n, int64_t k) {
    for (int64_t j = 0; j < n; j += NR, b += matmul_b_panel(k)) {
        pair_lanes(b, k, NR, LANES);
        pair_lanes(b + LANES, k, NR, LANES);
    }
}

/* As peak_fma of vec_peak.c. */
enum { CHAINS = 12 };

float VEC_NAME(peak_dot)(int64_t rounds) {
    vf sums[CHAINS];
    const vf ones = vf_bits(vi_set1(0x3f803f80)), small = vf_bits(vi_set1(0x3a833a83));
    VEC_UNROLL
    for (int i = 0; i < CHAINS; i++) sums[i] = vf_set1((float)i);
    for (int64_t round = 0; round < rounds; round++) {
        VEC_UNROLL
        for (int i = 0; i < CHAINS; i++) sums[i] = vf_dot_bf16(ones, small, sums[i]);
    }
    vf all = sums[0];
    for (int i = 1; i < CHAINS; i++) all = vf_add(all, sums[i]);
    return vf_sum(all);
}

double VEC_NAME(peak_dot_flops)(int64_t rounds) {
    return 4.0 * CHAINS * VEC_LANES * (double)rounds;
}

#endif
