/* The members of simd.h on AVX-512 (F, BW, DQ, VL): 16 lanes. Included by simd.h only. */
#ifndef CPU_VEC_SIMD_AVX512_H
#define CPU_VEC_SIMD_AVX512_H

enum { VEC_LANES = 16 };
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm; /* bit i: lane i */
typedef __m512d vd;

VEC_INLINE __mmask16 vec_mask(int n) { return (__mmask16)((1u << n) - 1u); }

VEC_INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
VEC_INLINE vf vf_set1(float x) { return _mm512_set1_ps(x); }
VEC_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VEC_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
VEC_INLINE vf vf_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(vec_mask(n), p); }
VEC_INLINE void vf_store_n(float *p, vf a, int n) { _mm512_mask_storeu_ps(p, vec_mask(n), a); }

VEC_INLINE vf vf_load_bf16(const uint16_t *p) {
    const __m256i codes = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(codes), 16));
}
VEC_INLINE void vf_store_bf16(uint16_t *p, vf a) {
    const __m512i codes = _mm512_srli_epi32(_mm512_castps_si512(a), 16);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(codes));
}

VEC_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VEC_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VEC_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VEC_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VEC_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VEC_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VEC_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VEC_INLINE vf vf_fma_in_place(vf a, vf b, vf c) {
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));
    return c;
}
VEC_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
#ifdef VEC_BF16_DOT
VEC_INLINE vf vf_dot_bf16(vf a, vf b, vf c) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));
    return c;
}
#endif
VEC_INLINE vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
VEC_INLINE vf vf_abs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
VEC_INLINE vf vf_neg(vf a) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a); }
VEC_INLINE vf vf_round(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

VEC_INLINE vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VEC_INLINE vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
VEC_INLINE vm vf_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
VEC_INLINE vm vf_ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
VEC_INLINE vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VEC_INLINE vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }

VEC_INLINE float vf_sum(vf a) {
    const __m256 y = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
VEC_INLINE float vf_hmax(vf a) {
    const __m256 y = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}
VEC_INLINE float vf_hmin(vf a) {
    const __m256 y = _mm256_min_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_movehdup_ps(x)));
}

VEC_INLINE void vf_unzip(vf a, vf b, vf *even, vf *odd) {
    const __m512i e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i o = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    *even = _mm512_permutex2var_ps(a, e, b);
    *odd = _mm512_permutex2var_ps(a, o, b);
}
VEC_INLINE void vf_zip(vf even, vf odd, vf *a, vf *b) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high =
        _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    *a = _mm512_permutex2var_ps(even, low, odd);
    *b = _mm512_permutex2var_ps(even, high, odd);
}

VEC_INLINE vi vi_zero(void) { return _mm512_setzero_si512(); }
VEC_INLINE vi vi_set1(int32_t x) { return _mm512_set1_epi32(x); }
VEC_INLINE vi vi_iota(void) {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
VEC_INLINE vi vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
VEC_INLINE void vi_store(int32_t *p, vi a) { _mm512_storeu_si512(p, a); }
VEC_INLINE vi vi_load_n(const int32_t *p, int n) {
    return _mm512_maskz_loadu_epi32(vec_mask(n), p);
}
VEC_INLINE void vi_store_n(int32_t *p, vi a, int n) { _mm512_mask_storeu_epi32(p, vec_mask(n), a); }
VEC_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
VEC_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
VEC_INLINE vi vi_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
VEC_INLINE vi vi_min(vi a, vi b) { return _mm512_min_epi32(a, b); }
VEC_INLINE vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
VEC_INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
VEC_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
VEC_INLINE vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
VEC_INLINE vi vi_sll(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
VEC_INLINE vi vi_srl(vi a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
VEC_INLINE vi vi_sra(vi a, int n) { return _mm512_srai_epi32(a, (unsigned)n); }
VEC_INLINE vm vi_gt(vi a, vi b) { return _mm512_cmpgt_epi32_mask(a, b); }
VEC_INLINE vm vi_eq(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
VEC_INLINE vi vi_from_vf(vf a) { return _mm512_cvtps_epi32(a); }
VEC_INLINE vf vf_from_vi(vi a) { return _mm512_cvtepi32_ps(a); }
VEC_INLINE vf vf_bits(vi a) { return _mm512_castsi512_ps(a); }
VEC_INLINE vi vi_bits(vf a) { return _mm512_castps_si512(a); }
VEC_INLINE vi vi_select(vm m, vi a, vi b) { return _mm512_mask_blend_epi32(m, b, a); }
VEC_INLINE vf vf_gather(const float *p, vi index) { return _mm512_i32gather_ps(index, p, 4); }

VEC_INLINE vm vm_first(int n) { return vec_mask(n); }
VEC_INLINE vm vm_and(vm a, vm b) { return (vm)(a & b); }
VEC_INLINE vm vm_or(vm a, vm b) { return (vm)(a | b); }
VEC_INLINE vm vm_not(vm a) { return (vm)~a; }
VEC_INLINE unsigned vm_lanes(vm m) { return m; }

VEC_INLINE vd vd_zero(void) { return _mm512_setzero_pd(); }
VEC_INLINE vd vd_set1(double x) { return _mm512_set1_pd(x); }
VEC_INLINE vd vd_load(const double *p) { return _mm512_loadu_pd(p); }
VEC_INLINE void vd_store(double *p, vd a) { _mm512_storeu_pd(p, a); }
VEC_INLINE vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
VEC_INLINE vd vd_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
VEC_INLINE vd vd_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
VEC_INLINE vd vd_low(vf a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
VEC_INLINE vd vd_high(vf a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
VEC_INLINE vf vf_from_vd(vd low, vd high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high),
                              1);
}
VEC_INLINE double vd_sum(vd a) {
    const __m256d y = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(y), _mm256_extractf128_pd(y, 1));
    return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

#endif
