/* exp, exp2, log and sigmoid on vectors: no tables, no state, the same bits in every lane position.
 * tests/cpu/test_vmath.c measures the errors over every float of each domain (docs/numerics.md).
 *
 * exp follows Cody and Waite: x = n ln 2 + r, |r| <= ln 2 / 2, e^x = 2^n p(r), where p is the
 * polynomial of degree 6 of least relative error among those with p(0) = 1, so that the value at 0
 * is exactly 1. NaN gives NaN. */
#ifndef CPU_VEC_VMATH_H
#define CPU_VEC_VMATH_H

#include <math.h>

#include "cpu/vec/simd.h"

/* Adding 1.5 * 2^23 rounds to an integer, to nearest, and leaves it in the low bits; with 127 more
 * the low nine bits are the exponent field of 2^n, which a shift by 23 puts in its place. */
#define VMATH_ROUND 12583039.0f /* 1.5 * 2^23 + 127 */
#define VMATH_LOG2_E 1.44269504f
#define VMATH_LN2 0.693147181f
/* VMATH_LN2 as a float is LN2_HIGH; the rest of ln 2. */
#define VMATH_LN2_LOW (-1.90465421e-9f)

/* 2^f, |f| <= 1/2, within 2.6e-9 before rounding. */
VEC_INLINE vf vmath_exp2_fraction(vf f) {
    vf p = vf_set1(0x1.470b48p-13f);
    p = vf_fma(p, f, vf_set1(0x1.5f7276p-10f));
    p = vf_fma(p, f, vf_set1(0x1.3b270ep-7f));
    p = vf_fma(p, f, vf_set1(0x1.c6ae72p-5f));
    p = vf_fma(p, f, vf_set1(0x1.ebfbe2p-3f));
    p = vf_fma(p, f, vf_set1(0x1.62e432p-1f));
    return vf_fma(p, f, vf_set1(1.0f));
}

/* e^r - 1, |r| <= ln 2 / 2 and a little more, within 3.7e-9 of e^r before rounding. */
VEC_INLINE vf vmath_exp_rest(vf r) {
    vf q = vf_set1(0x1.6a23d0p-10f);
    q = vf_fma(q, r, vf_set1(0x1.123a20p-7f));
    q = vf_fma(q, r, vf_set1(0x1.5558f2p-5f));
    q = vf_fma(q, r, vf_set1(0x1.555492p-3f));
    q = vf_fma(q, r, vf_set1(0x1.fffffcp-2f));
    return vf_fma(vf_mul(r, r), q, r);
}

/* x - n ln 2; the first step is exact, its constant having ten bits. */
VEC_INLINE vf vmath_reduce(vf x, vf n) {
    const vf r = vf_fnma(n, vf_set1(0.693359375f), x);
    return vf_fnma(n, vf_set1(-2.12194440e-4f), r);
}

/* 2^x for x <= 127; values below 2^-126.5 are 0. */
VEC_INLINE vf vf_exp2_flush(vf x) {
    x = vf_max(vf_set1(-127.0f), x);
    const vf shifted = vf_add(x, vf_set1(VMATH_ROUND));
    const vf f = vf_sub(x, vf_sub(shifted, vf_set1(VMATH_ROUND)));
    return vf_mul(vmath_exp2_fraction(f), vf_bits(vi_sll(vi_bits(shifted), 23)));
}

/* e^x = scale + scale * rest, for x <= 88.37; scale is 0 where e^x < 2^-126.5. */
struct vmath_exp {
    vf scale, rest;
};
VEC_INLINE struct vmath_exp vmath_exp_parts(vf x) {
    x = vf_max(vf_set1(-88.03f), x);
    const vf shifted = vf_fma(x, vf_set1(VMATH_LOG2_E), vf_set1(VMATH_ROUND));
    const vf r = vmath_reduce(x, vf_sub(shifted, vf_set1(VMATH_ROUND)));
    return (struct vmath_exp){vf_bits(vi_sll(vi_bits(shifted), 23)), vmath_exp_rest(r)};
}

/* e^x for x <= 88.37; values below 2^-126.5 are 0. */
VEC_INLINE vf vf_exp_flush(vf x) {
    const struct vmath_exp e = vmath_exp_parts(x);
    return vf_fma(e.scale, e.rest, e.scale);
}

/* e^x for every x, with subnormal results. */
VEC_INLINE vf vf_exp(vf x) {
    x = vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), x));
    const vf n = vf_round(vf_mul(x, vf_set1(VMATH_LOG2_E)));
    const vf rest = vmath_exp_rest(vmath_reduce(x, n));
    return vf_ldexp(vf_add(vf_set1(1.0f), rest), vi_from_vf(n));
}

/* 1 / (1 + e^-z); values below 2^-127.5 are 0. The exponential is not rounded before 1 is added: it
 * is added to the smaller part. */
VEC_INLINE vf vf_sigmoid(vf z) {
    const vf one = vf_set1(1.0f), lowest = vf_set1(-88.37f);
    const struct vmath_exp e = vmath_exp_parts(vf_neg(vf_max(lowest, z)));
    const vf y = vf_div(one, vf_add(vf_fma(e.scale, e.rest, one), e.scale));
    return vf_select(vf_lt(z, lowest), vf_zero(), y);
}

/* ln m for m = 1 + x in [sqrt(1/2), sqrt(2)]: x - x^2/2 + x^3 p(x), p from the Cephes library. */
VEC_INLINE vf vmath_log_fraction(vf x, vf exponent) {
    const vf square = vf_mul(x, x);
    vf p = vf_set1(7.0376836292e-2f);
    p = vf_fma(p, x, vf_set1(-1.1514610310e-1f));
    p = vf_fma(p, x, vf_set1(1.1676998740e-1f));
    p = vf_fma(p, x, vf_set1(-1.2420140846e-1f));
    p = vf_fma(p, x, vf_set1(1.4249322787e-1f));
    p = vf_fma(p, x, vf_set1(-1.6668057665e-1f));
    p = vf_fma(p, x, vf_set1(2.0000714765e-1f));
    p = vf_fma(p, x, vf_set1(-2.4999993993e-1f));
    p = vf_fma(p, x, vf_set1(3.3333331174e-1f));
    p = vf_mul(vf_mul(p, x), square);
    p = vf_fma(exponent, vf_set1(VMATH_LN2_LOW), p);
    p = vf_fnma(vf_set1(0.5f), square, p);
    return vf_fma(exponent, vf_set1(VMATH_LN2), vf_add(x, p));
}

/* ln x: -infinity at 0, NaN below, subnormal x included. */
VEC_INLINE vf vf_log(vf x) {
    const vi sqrt_half = vi_set1(0x3f3504f3);
    const vm is_tiny = vf_lt(x, vf_set1(0x1p-126f));
    const vi bits = vi_bits(vf_select(is_tiny, vf_mul(x, vf_set1(0x1p25f)), x));
    const vi offset = vi_sub(bits, sqrt_half);
    const vi fraction = vi_add(vi_and(offset, vi_set1(0x007fffff)), sqrt_half);
    const vf exponent =
        vf_sub(vf_from_vi(vi_sra(offset, 23)), vf_select(is_tiny, vf_set1(25.0f), vf_zero()));
    vf y = vmath_log_fraction(vf_sub(vf_bits(fraction), vf_set1(1.0f)), exponent);
    y = vf_select(vf_lt(x, vf_set1(INFINITY)), y, x);
    y = vf_select(vf_eq(x, vf_zero()), vf_set1(-INFINITY), y);
    return vf_select(vf_lt(x, vf_zero()), vf_set1(NAN), y);
}

#endif
