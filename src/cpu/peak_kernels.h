/* The measuring loops of each instruction set (src/cpu/vec/vec_peak.c). */
#ifndef CPU_PEAK_KERNELS_H
#define CPU_PEAK_KERNELS_H

#include <stdint.h>

#define PEAK_DECLARE(isa)                                                                          \
    float peak_fma_##isa(int64_t rounds);                                                          \
    double peak_fma_flops_##isa(int64_t rounds);                                                   \
    float peak_read_##isa(const float *from, int64_t count);
PEAK_DECLARE(avx2)
PEAK_DECLARE(avx512)
PEAK_DECLARE(emu512)
#undef PEAK_DECLARE
/* rounds of the dot product of bf16 pairs: src/cpu/vec/matmul_pair.c */
#define PEAK_DECLARE_DOT(isa)                                                                      \
    float peak_dot_##isa(int64_t rounds);                                                          \
    double peak_dot_flops_##isa(int64_t rounds);
PEAK_DECLARE_DOT(avx512bf16)
PEAK_DECLARE_DOT(emu512bf16)
#undef PEAK_DECLARE_DOT

#endif
