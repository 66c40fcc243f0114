/* One small vector language for every kernel of src/cpu/vec, which is compiled once per ISA.
 *
 * Types: vf (f32 lanes), vi (int32 lanes), vm (lane mask), vd (f64, half as many lanes). VEC_LANES
 * is the number of lanes of vf and vi. cmake/cpu.cmake defines VEC_ISA and one VEC_ISA_NAME:
 *   avx2    8 lanes, AVX2 + FMA
 *   avx512  16 lanes, AVX-512 F, BW, DQ, VL
 *   emu512  16 lanes made of two AVX2 registers: avx512's lane logic for a machine without it
 * and, for the products, VEC_BF16_DOT where there is vf_dot_bf16 too (avx512bf16, emu512bf16).
 * Every function below means the same on each, lane by lane, so that emu512 has avx512's bits.
 *
 *   vf_zero() vf_set1(x)              vf_load(p) vf_store(p, a): no alignment is needed
 *   vf_load_n(p, n)                   the first n lanes, 0 <= n <= VEC_LANES, zeros above; memory
 *   vf_store_n(p, a, n)               beyond n elements is neither read nor written
 *   vf_load_bf16(p) vf_store_bf16(p, a)  uint16_t codes; a must hold bf16 values (round.h)
 *   vf_add sub mul div max min        max(a, b) is b where either is NaN, as the hardware has it
 *   vf_fma(a, b, c)  a * b + c        vf_fnma(a, b, c)  c - a * b     (one rounding)
 *   vf_fma_in_place(a, b, c)          a * b + c in c's register: compilers otherwise turn long runs
 *                                     of vf_fma into moves and spills
 *   vf_dot_bf16(a, b, c)              c + upper(a) * upper(b) + lower(a) * lower(b), the bf16
 * halves of each lane; VDPBF16PS, in c's register vf_sqrt vf_abs vf_neg vf_round    (to nearest,
 * ties to even) vf_lt le gt ge eq (a, b) -> vm    false where either is NaN vf_select(m, a, b) m ?
 * a : b vf_sum(a) vf_hmax(a) vf_hmin(a)   across lanes: lane i with i + LANES/2, then LANES/4, ...
 *   vf_gather(p, i)                   p[i] lane by lane
 *   vf_unzip(a, b, &even, &odd)       of the sequence a, b; vf_zip(even, odd, &a, &b) is its
 * inverse vi_zero set1 load store load_n store_n add sub mul min max and or xor select vi_iota() 0,
 * 1, 2, ... vi_sll(a, n) vi_srl vi_sra        shifts by a constant vi_gt vi_eq (a, b) -> vm
 *   vi_from_vf(a)                     to nearest, ties to even   vf_from_vi(a)
 *   vf_bits(vi) vi_bits(vf)           reinterpret
 *   vf_ldexp(a, n)                    a * 2^n for -252 <= n <= 252, in two multiplications
 *   vm_first(n) vm_and or not         vm_lanes(m): bit i is lane i
 *   vd_zero set1 load store add mul fma sum; vd_low(vf), vd_high(vf): halves widened;
 *   vf_from_vd(low, high) */
#ifndef CPU_VEC_SIMD_H
#define CPU_VEC_SIMD_H

#include <immintrin.h>
#include <stdint.h>

#define VEC_JOIN2(name, isa) name##_##isa
#define VEC_JOIN(name, isa) VEC_JOIN2(name, isa)
/* VEC_NAME(x) is x_avx2, x_avx512, x_emu512 and so on: the name of every function with external
 * linkage. */
#define VEC_NAME(name) VEC_JOIN(name, VEC_ISA)

#define VEC_INLINE static inline __attribute__((always_inline, unused))
/* Before a loop with a constant bound: unrolled at every optimization level, so that an array of
 * vectors indexed by it lives in registers. */
#ifdef __clang__
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 32")
#endif

#if defined(VEC_ISA_AVX2)
#include "cpu/vec/simd_avx2.h"
#elif defined(VEC_ISA_AVX512)
#include "cpu/vec/simd_avx512.h"
#elif defined(VEC_ISA_EMU512)
#include "cpu/vec/simd_emu512.h"
#else
#error "src/cpu/vec is compiled once per ISA: see cmake/cpu.cmake"
#endif

VEC_INLINE vf vf_ldexp(vf a, vi n) {
    const vi half = vi_sra(n, 1);
    const vi bias = vi_set1(127);
    const vf first = vf_bits(vi_sll(vi_add(half, bias), 23));
    const vf second = vf_bits(vi_sll(vi_add(vi_sub(n, half), bias), 23));
    return vf_mul(vf_mul(a, first), second);
}

#endif
