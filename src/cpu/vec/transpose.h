/* 8 x 8 transposition in AVX2 registers, which every ISA of this directory has. */
#ifndef CPU_VEC_TRANSPOSE_H
#define CPU_VEC_TRANSPOSE_H

#include "cpu/vec/simd.h"

/* Lanes 0-3 from p, lanes 4-7 from q. */
VEC_INLINE __m256 transpose_pair(const float *p, const float *q) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(q), 1);
}

/* Four columns of eight rows that are `stride` apart: out[i] lane r is from[r * stride + i]. The
 * halves of a register are rows r and r + 4, joined by the loads, so that only cheap shuffles
 * within halves remain. */
VEC_INLINE void transpose_8x4(__m256 out[4], const float *from, int64_t stride) {
    const __m256 a = transpose_pair(from, from + 4 * stride);
    const __m256 b = transpose_pair(from + stride, from + 5 * stride);
    const __m256 c = transpose_pair(from + 2 * stride, from + 6 * stride);
    const __m256 d = transpose_pair(from + 3 * stride, from + 7 * stride);
    const __m256 ab_low = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
    const __m256 cd_low = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
    out[0] = _mm256_shuffle_ps(ab_low, cd_low, 0x44);
    out[1] = _mm256_shuffle_ps(ab_low, cd_low, 0xee);
    out[2] = _mm256_shuffle_ps(ab_high, cd_high, 0x44);
    out[3] = _mm256_shuffle_ps(ab_high, cd_high, 0xee);
}

/* A vector of eight lanes is `first`; one of sixteen has `second` above it. */
VEC_INLINE vf transpose_join(__m256 first, __m256 second) {
#if defined(VEC_ISA_AVX2)
    (void)second;
    return first;
#elif defined(VEC_ISA_AVX512)
    return _mm512_insertf32x8(_mm512_castps256_ps512(first), second, 1);
#else
    return (vf){first, second};
#endif
}

#endif
