/* Loops that do nothing but use the machine: its limits, to which every speed is a ratio. */
#include "cpu/peak_kernels.h"
#include "cpu/vec/simd.h"

enum { CHAINS = 12 }; /* independent accumulators: more than latency times units */

/* rounds * CHAINS multiply-adds of full vectors from registers, none of which a compiler can fold.
 */
float VEC_NAME(peak_fma)(int64_t rounds) {
    vf sums[CHAINS];
    const vf scale = vf_set1(0.999f), add = vf_set1(0.001f);
    VEC_UNROLL
    for (int i = 0; i < CHAINS; i++) sums[i] = vf_set1((float)i);
    for (int64_t round = 0; round < rounds; round++) {
        VEC_UNROLL
        for (int i = 0; i < CHAINS; i++) sums[i] = vf_fma_in_place(scale, add, sums[i]);
    }
    vf all = sums[0];
    for (int i = 1; i < CHAINS; i++) all = vf_add(all, sums[i]);
    return vf_sum(all);
}

double VEC_NAME(peak_fma_flops)(int64_t rounds) {
    return 2.0 * CHAINS * VEC_LANES * (double)rounds;
}

/* Reads count floats, a multiple of 8 vectors. */
float VEC_NAME(peak_read)(const float *from, int64_t count) {
    enum { STREAMS = 8 };
    vf sums[STREAMS];
    VEC_UNROLL
    for (int i = 0; i < STREAMS; i++) sums[i] = vf_zero();
    for (int64_t at = 0; at + STREAMS * VEC_LANES <= count; at += STREAMS * VEC_LANES) {
        VEC_UNROLL
        for (int i = 0; i < STREAMS; i++)
            sums[i] = vf_add(sums[i], vf_load(from + at + i * VEC_LANES));
    }
    vf all = sums[0];
    for (int i = 1; i < STREAMS; i++) all = vf_add(all, sums[i]);
    return vf_sum(all);
}
