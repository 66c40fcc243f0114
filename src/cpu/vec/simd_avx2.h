/* The members of simd.h on AVX2 and FMA: 8 lanes. Included by simd.h only. */
#ifndef CPU_VEC_SIMD_AVX2_H
#define CPU_VEC_SIMD_AVX2_H

enum { VEC_LANES = 8 };
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm; /* all bits of a lane set, or none */
typedef __m256d vd;

/* Lane masks: the 8 words from element 8 - n on have n leading ones. */
static const int32_t vec_mask_table[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
VEC_INLINE __m256i vec_mask(int n) {
    return _mm256_loadu_si256((const __m256i *)(const void *)(vec_mask_table + 8 - n));
}

VEC_INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
VEC_INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }
VEC_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
VEC_INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
VEC_INLINE vf vf_load_n(const float *p, int n) { return _mm256_maskload_ps(p, vec_mask(n)); }
VEC_INLINE void vf_store_n(float *p, vf a, int n) { _mm256_maskstore_ps(p, vec_mask(n), a); }

VEC_INLINE vf vf_load_bf16(const uint16_t *p) {
    const __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(codes), 16));
}
VEC_INLINE void vf_store_bf16(uint16_t *p, vf a) {
    const __m256i codes = _mm256_srli_epi32(_mm256_castps_si256(a), 16);
    const __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(codes, codes), 0x08);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(halves));
}

VEC_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VEC_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VEC_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VEC_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VEC_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VEC_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VEC_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VEC_INLINE vf vf_fma_in_place(vf a, vf b, vf c) {
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
    return c;
}
VEC_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
VEC_INLINE vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
VEC_INLINE vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
VEC_INLINE vf vf_neg(vf a) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a); }
VEC_INLINE vf vf_round(vf a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

VEC_INLINE vm vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
VEC_INLINE vm vf_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
VEC_INLINE vm vf_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
VEC_INLINE vm vf_ge(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
VEC_INLINE vm vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
VEC_INLINE vf vf_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }

VEC_INLINE float vf_sum(vf a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
VEC_INLINE float vf_hmax(vf a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}
VEC_INLINE float vf_hmin(vf a) {
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_movehdup_ps(x)));
}

VEC_INLINE void vf_unzip(vf a, vf b, vf *even, vf *odd) {
    const __m256 low = _mm256_permute2f128_ps(a, b, 0x20),
                 high = _mm256_permute2f128_ps(a, b, 0x31);
    const __m256 e = _mm256_shuffle_ps(low, high, 0x88), o = _mm256_shuffle_ps(low, high, 0xdd);
    /* low holds a's and b's first halves: lanes come out as a0 a2 a4 a6 | b0 b2 b4 b6. */
    *even = e;
    *odd = o;
}
VEC_INLINE void vf_zip(vf even, vf odd, vf *a, vf *b) {
    const __m256 low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    *a = _mm256_permute2f128_ps(low, high, 0x20);
    *b = _mm256_permute2f128_ps(low, high, 0x31);
}

VEC_INLINE vi vi_zero(void) { return _mm256_setzero_si256(); }
VEC_INLINE vi vi_set1(int32_t x) { return _mm256_set1_epi32(x); }
VEC_INLINE vi vi_iota(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
VEC_INLINE vi vi_load(const int32_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
VEC_INLINE void vi_store(int32_t *p, vi a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
VEC_INLINE vi vi_load_n(const int32_t *p, int n) { return _mm256_maskload_epi32(p, vec_mask(n)); }
VEC_INLINE void vi_store_n(int32_t *p, vi a, int n) { _mm256_maskstore_epi32(p, vec_mask(n), a); }
VEC_INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
VEC_INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
VEC_INLINE vi vi_mul(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
VEC_INLINE vi vi_min(vi a, vi b) { return _mm256_min_epi32(a, b); }
VEC_INLINE vi vi_max(vi a, vi b) { return _mm256_max_epi32(a, b); }
VEC_INLINE vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
VEC_INLINE vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
VEC_INLINE vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
VEC_INLINE vi vi_sll(vi a, int n) { return _mm256_slli_epi32(a, n); }
VEC_INLINE vi vi_srl(vi a, int n) { return _mm256_srli_epi32(a, n); }
VEC_INLINE vi vi_sra(vi a, int n) { return _mm256_srai_epi32(a, n); }
VEC_INLINE vm vi_gt(vi a, vi b) { return _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b)); }
VEC_INLINE vm vi_eq(vi a, vi b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
VEC_INLINE vi vi_from_vf(vf a) { return _mm256_cvtps_epi32(a); }
VEC_INLINE vf vf_from_vi(vi a) { return _mm256_cvtepi32_ps(a); }
VEC_INLINE vf vf_bits(vi a) { return _mm256_castsi256_ps(a); }
VEC_INLINE vi vi_bits(vf a) { return _mm256_castps_si256(a); }
VEC_INLINE vi vi_select(vm m, vi a, vi b) {
    return _mm256_blendv_epi8(b, a, _mm256_castps_si256(m));
}
VEC_INLINE vf vf_gather(const float *p, vi index) { return _mm256_i32gather_ps(p, index, 4); }

VEC_INLINE vm vm_first(int n) { return _mm256_castsi256_ps(vec_mask(n)); }
VEC_INLINE vm vm_and(vm a, vm b) { return _mm256_and_ps(a, b); }
VEC_INLINE vm vm_or(vm a, vm b) { return _mm256_or_ps(a, b); }
VEC_INLINE vm vm_not(vm a) { return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))); }
VEC_INLINE unsigned vm_lanes(vm m) { return (unsigned)_mm256_movemask_ps(m); }

VEC_INLINE vd vd_zero(void) { return _mm256_setzero_pd(); }
VEC_INLINE vd vd_set1(double x) { return _mm256_set1_pd(x); }
VEC_INLINE vd vd_load(const double *p) { return _mm256_loadu_pd(p); }
VEC_INLINE void vd_store(double *p, vd a) { _mm256_storeu_pd(p, a); }
VEC_INLINE vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
VEC_INLINE vd vd_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
VEC_INLINE vd vd_fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
VEC_INLINE vd vd_low(vf a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
VEC_INLINE vd vd_high(vf a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
VEC_INLINE vf vf_from_vd(vd low, vd high) {
    return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}
VEC_INLINE double vd_sum(vd a) {
    const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

#endif
