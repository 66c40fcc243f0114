/* Rounding of f32 lanes to the values of a smaller format: backend/ops.h has the definitions. */
#ifndef CPU_VEC_ROUND_H
#define CPU_VEC_ROUND_H

#include "backend/ops.h"
#include "cpu/vec/simd.h"

/* To nearest bf16, ties to even. */
VEC_INLINE vf round_bf16(vf x) {
    const vi bits = vi_bits(x);
    const vi tie = vi_add(vi_set1(0x7fff), vi_and(vi_srl(bits, 16), vi_set1(1)));
    const vf rounded = vf_bits(vi_and(vi_add(bits, tie), vi_set1((int32_t)0xffff0000u)));
    return vf_select(vf_eq(x, x), rounded, x);
}

/* A scaled format: `mantissa` bits, a smallest normal exponent, a largest value. */
struct round_code {
    int mantissa, exponent;
    float largest;
    bool is_power_of_two; /* the scale is */
};
VEC_INLINE struct round_code round_code_of(enum rounding rounding) {
    if (rounding == ROUND_E5M6_POW2) return (struct round_code){6, -14, 65024.0f, true};
    return (struct round_code){3, -6, 448.0f, rounding == ROUND_E4M3_POW2};
}

/* max(amax / largest, 1e-10) in every lane, or the next power of two. NaN where amax is. */
VEC_INLINE vf round_scale(struct round_code code, vf amax) {
    const vf s = vf_max(vf_set1(1e-10f), vf_div(amax, vf_set1(code.largest)));
    if (!code.is_power_of_two) return s;
    return vf_bits(vi_and(vi_add(vi_bits(s), vi_set1(0x7fffff)), vi_set1(0x7f800000)));
}

/* The nearest value of the format times s. Adding 1.5 * 2^e with the right e leaves the format's
 * mantissa bits above the last place of a float; the constants' order keeps a NaN. */
VEC_INLINE vf round_coded(struct round_code code, vf x, vf s) {
    const vf largest = vf_set1(code.largest);
    const vf v = vf_min(largest, vf_max(vf_neg(largest), vf_div(x, s)));
    const vi least = vi_set1((127 + code.exponent) << 23);
    const vi exponent = vi_max(vi_and(vi_bits(v), vi_set1(0x7f800000)), least);
    const vi shifted = vi_add(exponent, vi_set1((23 - code.mantissa) << 23));
    const vf magic = vf_bits(vi_or(shifted, vi_set1(0x400000)));
    const vf near = vf_sub(vf_add(v, magic), magic);
    const vi sign = vi_and(vi_bits(v), vi_set1(INT32_MIN));
    return vf_mul(vf_bits(vi_or(vi_bits(near), sign)), s);
}

/* Tiles along a contiguous row of n elements, in place or not. */
VEC_INLINE void round_row(float *to, const float *from, int64_t n, enum rounding rounding) {
    if (rounding == ROUND_BF16) {
        int64_t i = 0;
        for (; i + VEC_LANES <= n; i += VEC_LANES) vf_store(to + i, round_bf16(vf_load(from + i)));
        if (i < n) vf_store_n(to + i, round_bf16(vf_load_n(from + i, (int)(n - i))), (int)(n - i));
        return;
    }
    const struct round_code code = round_code_of(rounding);
    for (int64_t at = 0; at < n; at += ROUND_TILE) {
        const int64_t end = n - at < ROUND_TILE ? n : at + ROUND_TILE;
        vf amax = vf_zero();
        int64_t i = at;
        for (; i + VEC_LANES <= end; i += VEC_LANES) amax = vf_max(vf_abs(vf_load(from + i)), amax);
        const int left = (int)(end - i);
        amax = vf_max(vf_abs(vf_load_n(from + i, left)), amax);
        const vf s = round_scale(code, vf_set1(vf_hmax(amax)));
        for (i = at; i + VEC_LANES <= end; i += VEC_LANES)
            vf_store(to + i, round_coded(code, vf_load(from + i), s));
        vf_store_n(to + i, round_coded(code, vf_load_n(from + i, left), s), left);
    }
}

#endif
