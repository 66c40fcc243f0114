/* The members of simd.h with 16 lanes made of two AVX2 registers: avx512's logic, lane for lane and
 * bit for bit, on a machine that lacks it. For tests, so it is plain before it is fast. Included by
 * simd.h only. */
#ifndef CPU_VEC_SIMD_EMU512_H
#define CPU_VEC_SIMD_EMU512_H

enum { VEC_LANES = 16 };
typedef struct {
    __m256 lo, hi;
} vf;
typedef struct {
    __m256i lo, hi;
} vi;
typedef struct {
    __m256 lo, hi; /* all bits of a lane set, or none */
} vm;
typedef struct {
    __m256d lo, hi;
} vd;

/* Lane masks: the 8 words from element 8 - n on have n leading ones. */
static const int32_t vec_mask_table[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
VEC_INLINE __m256i vec_mask8(int n) {
    return _mm256_loadu_si256((const __m256i *)(const void *)(vec_mask_table + 8 - n));
}
VEC_INLINE vi vec_mask(int n) {
    return (vi){vec_mask8(n < 8 ? n : 8), vec_mask8(n < 8 ? 0 : n - 8)};
}

/* name(a...) applies f to both halves. */
#define EMU_1(R, A, name, f)                                                                       \
    VEC_INLINE R name(A a) { return (R){f(a.lo), f(a.hi)}; }
#define EMU_2(R, A, name, f)                                                                       \
    VEC_INLINE R name(A a, A b) { return (R){f(a.lo, b.lo), f(a.hi, b.hi)}; }
#define EMU_3(R, A, name, f)                                                                       \
    VEC_INLINE R name(A a, A b, A c) { return (R){f(a.lo, b.lo, c.lo), f(a.hi, b.hi, c.hi)}; }
#define EMU_COMPARE(name, code)                                                                    \
    VEC_INLINE vm name(vf a, vf b) {                                                               \
        return (vm){_mm256_cmp_ps(a.lo, b.lo, code), _mm256_cmp_ps(a.hi, b.hi, code)};             \
    }
#define EMU_SHIFT(name, f)                                                                         \
    VEC_INLINE vi name(vi a, int n) { return (vi){f(a.lo, n), f(a.hi, n)}; }

VEC_INLINE vf vf_zero(void) { return (vf){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
VEC_INLINE vf vf_set1(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
VEC_INLINE vf vf_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
VEC_INLINE void vf_store(float *p, vf a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
/* The upper half's address is formed only where the lower half is full. */
VEC_INLINE vf vf_load_n(const float *p, int n) {
    const vi m = vec_mask(n);
    return (vf){_mm256_maskload_ps(p, m.lo),
                n > 8 ? _mm256_maskload_ps(p + 8, m.hi) : _mm256_setzero_ps()};
}
VEC_INLINE void vf_store_n(float *p, vf a, int n) {
    const vi m = vec_mask(n);
    _mm256_maskstore_ps(p, m.lo, a.lo);
    if (n > 8) _mm256_maskstore_ps(p + 8, m.hi, a.hi);
}

VEC_INLINE vf vf_load_bf16(const uint16_t *p) {
    uint32_t bits[16];
    for (int i = 0; i < 16; i++) bits[i] = (uint32_t)p[i] << 16;
    return (vf){_mm256_loadu_ps((const float *)(const void *)bits),
                _mm256_loadu_ps((const float *)(const void *)(bits + 8))};
}
VEC_INLINE void vf_store_bf16(uint16_t *p, vf a) {
    uint32_t bits[16];
    _mm256_storeu_ps((float *)(void *)bits, a.lo);
    _mm256_storeu_ps((float *)(void *)(bits + 8), a.hi);
    for (int i = 0; i < 16; i++) p[i] = (uint16_t)(bits[i] >> 16);
}

EMU_2(vf, vf, vf_add, _mm256_add_ps)
EMU_2(vf, vf, vf_sub, _mm256_sub_ps)
EMU_2(vf, vf, vf_mul, _mm256_mul_ps)
EMU_2(vf, vf, vf_div, _mm256_div_ps)
EMU_2(vf, vf, vf_max, _mm256_max_ps)
EMU_2(vf, vf, vf_min, _mm256_min_ps)
EMU_3(vf, vf, vf_fma, _mm256_fmadd_ps)
VEC_INLINE vf vf_fma_in_place(vf a, vf b, vf c) { return vf_fma(a, b, c); }
EMU_3(vf, vf, vf_fnma, _mm256_fnmadd_ps)
#ifdef VEC_BF16_DOT
/* Intel's SDM, VDPBF16PS: one fused multiply-add a product, the upper one first; numbers below the
 * normal ones are zeros of their sign, as operands and as results. */
VEC_INLINE __m256 vec_normal(__m256 a) {
    const __m256 sign = _mm256_set1_ps(-0.0f), least = _mm256_set1_ps(0x1p-126f);
    const __m256 is_below = _mm256_cmp_ps(_mm256_andnot_ps(sign, a), least, _CMP_LT_OQ);
    return _mm256_blendv_ps(a, _mm256_and_ps(a, sign), is_below);
}
VEC_INLINE __m256 vec_upper(__m256 words) {
    const __m256i mask = _mm256_set1_epi32((int32_t)0xffff0000u);
    return vec_normal(_mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(words), mask)));
}
VEC_INLINE __m256 vec_lower(__m256 words) {
    return vec_normal(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(words), 16)));
}
VEC_INLINE __m256 vec_dot8(__m256 a, __m256 b, __m256 c) {
    c = vec_normal(_mm256_fmadd_ps(vec_upper(a), vec_upper(b), vec_normal(c)));
    return vec_normal(_mm256_fmadd_ps(vec_lower(a), vec_lower(b), c));
}
/* Not inlined: the micro-kernel has it in more places than a compiler can bear. */
static __attribute__((noinline, unused)) void vec_dot(const vf *a, const vf *b, vf *c) {
    *c = (vf){vec_dot8(a->lo, b->lo, c->lo), vec_dot8(a->hi, b->hi, c->hi)};
}
VEC_INLINE vf vf_dot_bf16(vf a, vf b, vf c) {
    vec_dot(&a, &b, &c);
    return c;
}
#endif
EMU_1(vf, vf, vf_sqrt, _mm256_sqrt_ps)
VEC_INLINE vf vf_abs(vf a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (vf){_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
VEC_INLINE vf vf_neg(vf a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (vf){_mm256_xor_ps(sign, a.lo), _mm256_xor_ps(sign, a.hi)};
}
VEC_INLINE vf vf_round(vf a) {
    return (vf){_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

EMU_COMPARE(vf_lt, _CMP_LT_OQ)
EMU_COMPARE(vf_le, _CMP_LE_OQ)
EMU_COMPARE(vf_gt, _CMP_GT_OQ)
EMU_COMPARE(vf_ge, _CMP_GE_OQ)
EMU_COMPARE(vf_eq, _CMP_EQ_OQ)
VEC_INLINE vf vf_select(vm m, vf a, vf b) {
    return (vf){_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)};
}

VEC_INLINE float vf_sum(vf a) {
    const __m256 y = _mm256_add_ps(a.lo, a.hi);
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
VEC_INLINE float vf_hmax(vf a) {
    const __m256 y = _mm256_max_ps(a.lo, a.hi);
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}
VEC_INLINE float vf_hmin(vf a) {
    const __m256 y = _mm256_min_ps(a.lo, a.hi);
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_movehdup_ps(x)));
}

VEC_INLINE void vec_unzip8(__m256 a, __m256 b, __m256 *even, __m256 *odd) {
    const __m256 low = _mm256_permute2f128_ps(a, b, 0x20),
                 high = _mm256_permute2f128_ps(a, b, 0x31);
    *even = _mm256_shuffle_ps(low, high, 0x88);
    *odd = _mm256_shuffle_ps(low, high, 0xdd);
}
VEC_INLINE void vec_zip8(__m256 even, __m256 odd, __m256 *a, __m256 *b) {
    const __m256 low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    *a = _mm256_permute2f128_ps(low, high, 0x20);
    *b = _mm256_permute2f128_ps(low, high, 0x31);
}
VEC_INLINE void vf_unzip(vf a, vf b, vf *even, vf *odd) {
    vec_unzip8(a.lo, a.hi, &even->lo, &odd->lo);
    vec_unzip8(b.lo, b.hi, &even->hi, &odd->hi);
}
VEC_INLINE void vf_zip(vf even, vf odd, vf *a, vf *b) {
    vec_zip8(even.lo, odd.lo, &a->lo, &a->hi);
    vec_zip8(even.hi, odd.hi, &b->lo, &b->hi);
}

VEC_INLINE vi vi_zero(void) { return (vi){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
VEC_INLINE vi vi_set1(int32_t x) { return (vi){_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
VEC_INLINE vi vi_iota(void) {
    return (vi){_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)};
}
VEC_INLINE vi vi_load(const int32_t *p) {
    return (vi){_mm256_loadu_si256((const __m256i *)(const void *)p),
                _mm256_loadu_si256((const __m256i *)(const void *)(p + 8))};
}
VEC_INLINE void vi_store(int32_t *p, vi a) {
    _mm256_storeu_si256((__m256i *)(void *)p, a.lo);
    _mm256_storeu_si256((__m256i *)(void *)(p + 8), a.hi);
}
VEC_INLINE vi vi_load_n(const int32_t *p, int n) {
    const vi m = vec_mask(n);
    return (vi){_mm256_maskload_epi32(p, m.lo),
                n > 8 ? _mm256_maskload_epi32(p + 8, m.hi) : _mm256_setzero_si256()};
}
VEC_INLINE void vi_store_n(int32_t *p, vi a, int n) {
    const vi m = vec_mask(n);
    _mm256_maskstore_epi32(p, m.lo, a.lo);
    if (n > 8) _mm256_maskstore_epi32(p + 8, m.hi, a.hi);
}
EMU_2(vi, vi, vi_add, _mm256_add_epi32)
EMU_2(vi, vi, vi_sub, _mm256_sub_epi32)
EMU_2(vi, vi, vi_mul, _mm256_mullo_epi32)
EMU_2(vi, vi, vi_min, _mm256_min_epi32)
EMU_2(vi, vi, vi_max, _mm256_max_epi32)
EMU_2(vi, vi, vi_and, _mm256_and_si256)
EMU_2(vi, vi, vi_or, _mm256_or_si256)
EMU_2(vi, vi, vi_xor, _mm256_xor_si256)
EMU_SHIFT(vi_sll, _mm256_slli_epi32)
EMU_SHIFT(vi_srl, _mm256_srli_epi32)
EMU_SHIFT(vi_sra, _mm256_srai_epi32)
EMU_1(vi, vf, vi_from_vf, _mm256_cvtps_epi32)
EMU_1(vf, vi, vf_from_vi, _mm256_cvtepi32_ps)
EMU_1(vf, vi, vf_bits, _mm256_castsi256_ps)
EMU_1(vi, vf, vi_bits, _mm256_castps_si256)
VEC_INLINE vm vi_gt(vi a, vi b) {
    return (vm){_mm256_castsi256_ps(_mm256_cmpgt_epi32(a.lo, b.lo)),
                _mm256_castsi256_ps(_mm256_cmpgt_epi32(a.hi, b.hi))};
}
VEC_INLINE vm vi_eq(vi a, vi b) {
    return (vm){_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.lo, b.lo)),
                _mm256_castsi256_ps(_mm256_cmpeq_epi32(a.hi, b.hi))};
}
VEC_INLINE vi vi_select(vm m, vi a, vi b) {
    return (vi){_mm256_blendv_epi8(b.lo, a.lo, _mm256_castps_si256(m.lo)),
                _mm256_blendv_epi8(b.hi, a.hi, _mm256_castps_si256(m.hi))};
}
VEC_INLINE vf vf_gather(const float *p, vi index) {
    return (vf){_mm256_i32gather_ps(p, index.lo, 4), _mm256_i32gather_ps(p, index.hi, 4)};
}

VEC_INLINE vm vm_first(int n) {
    const vi m = vec_mask(n);
    return (vm){_mm256_castsi256_ps(m.lo), _mm256_castsi256_ps(m.hi)};
}
EMU_2(vm, vm, vm_and, _mm256_and_ps)
EMU_2(vm, vm, vm_or, _mm256_or_ps)
VEC_INLINE vm vm_not(vm a) {
    const __m256 ones = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    return (vm){_mm256_xor_ps(a.lo, ones), _mm256_xor_ps(a.hi, ones)};
}
VEC_INLINE unsigned vm_lanes(vm m) {
    return (unsigned)_mm256_movemask_ps(m.lo) | (unsigned)_mm256_movemask_ps(m.hi) << 8;
}

VEC_INLINE vd vd_zero(void) { return (vd){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
VEC_INLINE vd vd_set1(double x) { return (vd){_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
VEC_INLINE vd vd_load(const double *p) { return (vd){_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
VEC_INLINE void vd_store(double *p, vd a) {
    _mm256_storeu_pd(p, a.lo);
    _mm256_storeu_pd(p + 4, a.hi);
}
EMU_2(vd, vd, vd_add, _mm256_add_pd)
EMU_2(vd, vd, vd_mul, _mm256_mul_pd)
EMU_3(vd, vd, vd_fma, _mm256_fmadd_pd)
VEC_INLINE vd vec_widen(__m256 a) {
    return (vd){_mm256_cvtps_pd(_mm256_castps256_ps128(a)),
                _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))};
}
VEC_INLINE vd vd_low(vf a) { return vec_widen(a.lo); }
VEC_INLINE vd vd_high(vf a) { return vec_widen(a.hi); }
VEC_INLINE vf vf_from_vd(vd low, vd high) {
    return (vf){_mm256_set_m128(_mm256_cvtpd_ps(low.hi), _mm256_cvtpd_ps(low.lo)),
                _mm256_set_m128(_mm256_cvtpd_ps(high.hi), _mm256_cvtpd_ps(high.lo))};
}
VEC_INLINE double vd_sum(vd a) {
    const __m256d y = _mm256_add_pd(a.lo, a.hi);
    const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(y), _mm256_extractf128_pd(y, 1));
    return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

#undef EMU_1
#undef EMU_2
#undef EMU_3
#undef EMU_COMPARE
#undef EMU_SHIFT

#endif
